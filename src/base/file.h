/* base/file.h - reading whole files, mapping large ones, replacing files atomically. */
#ifndef USTA_BASE_FILE_H
#define USTA_BASE_FILE_H

#include "base/str.h"

/* A file's bytes, read-only. Files up to US_FILE_READ_MAX are read into memory; larger ones are mapped
 * behind a guard: if the file shrinks while we use it, reads give zeros instead of killing the process
 * and us_file_ok turns false. */
#define US_FILE_READ_MAX ((size_t)1 << 18)
typedef struct us_file us_file;
us_err us_file_open(struct us_ctx *c, const char *path, uint64_t max_bytes,
                    us_file **out) US_MUST;
/* The same, mapped whatever its size: for files of which little is looked at. An empty one is read. */
us_err us_file_map(struct us_ctx *c, const char *path, uint64_t max_bytes,
                   us_file **out) US_MUST;
void us_file_close(us_file *f);                /* NULL is fine */
const uint8_t *us_file_data(const us_file *f); /* 64-byte aligned or page aligned */
size_t us_file_size(const us_file *f);
bool us_file_ok(const us_file *f);
/* A mapped file's bytes take no memory until they are read again; of one that was read nothing happens. */
void us_file_drop_pages(us_file *f);

/* The first n bytes of a regular file, *got of them where it has fewer. */
us_err us_file_peek(struct us_ctx *c, const char *path, void *p, size_t n, size_t *got) US_MUST;

/* Whole file into a buffer (appended); "-" reads standard input. */
us_err us_file_read(struct us_ctx *c, const char *path, us_buf *out) US_MUST;

/* Replace path by these bytes: temporary file beside it, write, fsync, rename, fsync of the folder. At
 * any moment the path names either the old or the new whole contents. */
us_err us_file_replace(struct us_ctx *c, const char *path, const void *p, size_t n) US_MUST;

/* The same for a writer that streams: open, write many times, commit or abort (abort removes it). */
typedef struct us_writer us_writer;
us_err us_writer_open(struct us_ctx *c, const char *path, us_writer **out) US_MUST;
us_err us_writer_write(us_writer *w, const void *p, size_t n) US_MUST;
us_err us_writer_seek(us_writer *w, uint64_t offset) US_MUST; /* for headers written last */
us_err us_writer_commit(us_writer *w) US_MUST;                /* frees w whatever the result */
void us_writer_abort(us_writer *w);                           /* NULL is fine */

/* Append in one write (O_APPEND): lines of several processes do not mix. No fsync. */
us_err us_file_append(struct us_ctx *c, const char *path, const void *p, size_t n) US_MUST;

us_err us_mkdirs(struct us_ctx *c, const char *path) US_MUST; /* like mkdir -p */
bool us_path_exists(const char *path);
bool us_path_is_dir(const char *path);
/* dir + "/" + name in the arena; name absolute: name alone. NULL when out of memory. */
char *us_path_join(us_arena *a, const char *dir, const char *name) US_MUST;
char *us_path_dir(us_arena *a, const char *path) US_MUST; /* "." when there is none */
/* Names in a folder, sorted, without "." and "..". */
us_err us_dir_list(struct us_ctx *c, us_arena *a, const char *path, char ***names,
                   size_t *n) US_MUST;

/* The environment, the one reader of it: NULL when unset. */
const char *us_env(const char *name);

#endif
