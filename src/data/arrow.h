/* data/arrow.h - a table as struct ArrowSchema and struct ArrowArray, for programs that speak Arrow's C data interface.
 *
 * The declarations are the public ABI of the Arrow specification ("The Arrow C data interface"), which says that anybody
 * may copy them. An exported table is a struct array with one child per column; buffers are not copied.
 */
#ifndef USTA_DATA_ARROW_H
#define USTA_DATA_ARROW_H

#include "data/table.h"

#ifndef ARROW_C_DATA_INTERFACE
#    define ARROW_C_DATA_INTERFACE
#    define ARROW_FLAG_NULLABLE 2
struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};
struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};
#endif

/* The table must outlive the array (the schema holds copies). Release both by their callbacks. c's allocator is used and
 * must outlive them. */
us_err us_table_export(us_ctx *c, const us_table *t, struct ArrowSchema *schema,
                       struct ArrowArray *array) US_MUST;

#endif
