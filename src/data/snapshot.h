/* data/snapshot.h - a table as one immutable file whose bytes are a function of its contents alone.
 *
 *     "USTASNAP" version:u32 n_cols:u32 n_rows:u64 bytes:u64 crc32c-of-header-and-directory:u32 0:u32
 *     directory: per column type, null count, name and the (offset, bytes, crc32c) of each buffer
 *     buffers, each on 64 bytes, zero padding between
 *
 * Little-endian. The store keeps it under the hash of its bytes; that hash is the snapshot's id. Buffers are used where
 * they lie in the mapped file. The header and directory are always checked; buffer checksums when asked (a store that
 * has just verified the object's hash need not pay twice), offsets of strings always.
 */
#ifndef USTA_DATA_SNAPSHOT_H
#define USTA_DATA_SNAPSHOT_H

#include "data/table.h"

#define US_SNAPSHOT_VERSION 1

us_err us_snapshot_print(us_ctx *c, const us_table *t,
                         us_buf *b) US_MUST; /* canonical bytes, appended */
/* Reads a file; the table keeps it mapped. */
us_err us_snapshot_read(us_ctx *c, const char *path, bool check_buffers,
                        us_table **out) US_MUST;
/* From memory, which must be 64-byte aligned and outlive the table. */
us_err us_snapshot_parse(us_ctx *c, const char *name, const void *p, size_t n,
                         bool check_buffers, us_table **out) US_MUST;

#endif
