/* pass/fuser.h - inside of pass: one sweep in order for the passes that look back from a node at what feeds it.
 *
 *     static us_err one(us_fuser *f, us_nid nid)   look at node nid; rewrite it, us_rewire_drop what it replaces,
 *                                                  say so in *f->changed
 *
 * The last node of a pattern becomes the new one, so everything that reads is defined there. Nodes in the order are
 * visited once; none may be added.
 */
#ifndef USTA_PASS_FUSER_H
#define USTA_PASS_FUSER_H

#include "pass/passes.h"

typedef struct us_fuser {
    us_ctx *c;
    us_graph *g;
    us_rewire r;
    /* readers per value, as they were at the beginning; a pass that moves some keeps it up */
    uint32_t *uses;
    uint32_t *place; /* per node: where it stands in the order */
    bool *changed;
    const void *arg; /* the caller's */
} us_fuser;

typedef us_err us_fuse_fn(us_fuser *f, us_nid nid);

/* name: the pass, for the arena. */
us_err us_fuse(us_ctx *c, us_graph *g, const char *name, us_fuse_fn *one, const void *arg,
               bool *changed) US_MUST;

/* The node that makes v, when v has this many readers (the graph's outputs are readers too); US_NIL. */
us_nid us_fuse_maker(const us_fuser *f, us_vid v, uint32_t readers);

us_err us_fuse_set_float(us_fuser *f, us_nid nid, const char *name, float v) US_MUST;
/* A copy of the attribute `from` under this name; `from` must not lie in the node itself. NULL: nothing is set. */
us_err us_fuse_set_as(us_fuser *f, us_nid nid, const char *name, const us_attr *from) US_MUST;

#endif
