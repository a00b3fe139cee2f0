/* A project file from anywhere: one clear message, or a configuration that prints and hashes. */
#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void quiet(void *ud, const char *line)
{
    (void)ud;
    (void)line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    us_ctx c;
    us_arena *a = NULL;
    us_conf conf;
    us_ctx_init(&c);
    c.log.sink = quiet;
    if (us_arena_new(&c, "fuzz", (size_t)256 << 20, &a) == US_OK &&
        us_conf_parse(&c, a, "usta.yaml", (us_sv){(const char *)data, size}, &conf) == US_OK) {
        size_t n = 0;
        const us_section *s = us_conf_sections(&n);
        us_buf b;
        us_buf_init(&b, &c, (size_t)64 << 20);
        for (size_t i = 0; i < n; i++) {
            json_t *j = NULL;
            if (us_conf_section_json(&c, &conf, s[i].name, &j) == US_OK &&
                us_json_print(&c, j, &b) != US_OK)
                us_buf_clear(&b);
            json_decref(j);
        }
        us_buf_deinit(&b);
    }
    us_arena_free(a);
    us_ctx_deinit(&c);
    return 0;
}
