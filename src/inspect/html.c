/* inspect/html.c - one page: the drawing, the data as inert JSON, page.css and page.js from this folder.
 *
 * Nothing is loaded from anywhere, and a content security policy says so to the browser. In the JSON every '<' is written as an
 * escape, so no name can end the script element; the page puts texts in place only as text, never as markup.
 */
#include "inspect/scene.h"

extern const unsigned char us_page_js[], us_page_css[];
extern const size_t us_page_js_n, us_page_css_n;

static void add_json(us_buf *b, us_sv json)
{
    for (size_t i = 0, from = 0; i <= json.n; i++) {
        if (i < json.n && json.p[i] != '<') continue;
        us_buf_add(b, json.p + from, i - from);
        if (i < json.n) us_buf_adds(b, "\\u003c");
        from = i + 1;
    }
}

us_err us_view_html(const us_view *v, us_buf *b)
{
    us_buf data;
    us_buf_init(&data, v->c, US_VIEW_MAX_BYTES);
    us_err e = us_view_data(v, &data);
    us_buf_adds(
        b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
           "style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; "
           "form-action 'none'\">\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
    us_view_xml(b, us_sv_of(v->o.title));
    us_buf_adds(b, "</title>\n<style>\n");
    us_buf_add(b, us_page_css, us_page_css_n);
    us_svg_style(b);
    for (int i = 0; i < US_VK_IO; i++) /* seen from afar, tints would vanish */
        us_buf_addf(b, "\n#view.vfar .k%d{fill:%s}", i, us_vkind_get((us_vkind)i)->colour);
    us_buf_adds(b, "\n</style>\n</head>\n<body>\n"
                   "<main><svg xmlns=\"http://www.w3.org/2000/svg\" id=\"view\" tabindex=\"0\" "
                   "role=\"img\" aria-label=\"graph of the model\"><g id=\"scene\">\n");
    us_svg_body(v, b);
    us_buf_addf(b,
                "</g></svg></main>\n<aside id=\"side\"></aside>\n"
                "<script type=\"application/json\" id=\"data\" data-w=\"%ld\" data-h=\"%ld\">",
                (long)(v->graphs.at[0]->w + 2 * US_V_MARGIN),
                (long)(v->graphs.at[0]->h + 2 * US_V_MARGIN));
    add_json(b, us_buf_sv(&data));
    us_buf_adds(b, "</script>\n<script>\n");
    us_buf_add(b, us_page_js, us_page_js_n);
    us_buf_adds(b, "</script>\n</body>\n</html>\n");
    us_buf_deinit(&data);
    US_TRY(e);
    return us_buf_check(b);
}
