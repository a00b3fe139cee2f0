/* inspect/svg.c - the drawing as SVG: curves below, boxes above, texts escaped, colours by classes.
 *
 * Plain classes and no CSS variables, so that slide programs and printers show it too. Elements stand in groups by height
 * (class "t" with data-y), which the page switches off where they are out of sight. Class "d" marks details that it leaves
 * out when seen from afar; data-i and data-v are the numbers of items and values in the page's data.
 */
#include <math.h>

#include "inspect/scene.h"

#define TILE_H     1500.0F
#define MAX_TILES  256
#define MAX_LABELS 3 /* below a box, of its results from the right */
#define HEADER_H   58.0F
#define CORNER     7.0F
#define MAX_TITLE  8.0F

void us_svg_style(us_buf *b)
{
    us_buf_adds(
        b, "text{font-family:Inter,'Segoe UI','Helvetica Neue',Arial,'DejaVu "
           "Sans',sans-serif;fill:#1A1A1A}"
           ".o{font-size:13px;font-weight:600}.m,.l{font-size:10px;fill:#5A5A5A}.d{font-size:"
           "11px;fill:#333}"
           ".l{font-size:10px;fill:#555;stroke:#FFF;stroke-width:3px;paint-order:stroke;stroke-"
           "linejoin:round}"
           ".h{font-size:18px;font-weight:600}.e{fill:none;stroke:#7D8590;stroke-width:1.3px}"
           ".a{fill:#7D8590}.f{fill:none;stroke:#59616B;stroke-width:1px}.p{stroke:#1A1A1A;"
           "stroke-width:1.2px}"
           ".q{fill:#FFF;fill-opacity:.65;stroke:#B5BBC3;stroke-width:1px;stroke-dasharray:5 3}"
           ".g{fill:#F7F8FA}.c{stroke-dasharray:2 3}.bg{fill:#FFF}");
    for (int i = 0; i < US_VK_N; i++) {
        const us_vkind_row *k = us_vkind_get((us_vkind)i);
        us_buf_addf(b, ".k%d{fill:%s}.s%d{fill:%s}", i, k->light, i, k->colour);
    }
    us_buf_adds(
        b,
        "@media screen and "
        "(prefers-color-scheme:dark){text{fill:#ECECEC}.m{fill:#B0B6BD}.d{fill:#D0D4D9}"
        ".l{fill:#AEB6C0;stroke:#14181D}.e{stroke:#8C96A3}.a{fill:#8C96A3}.f{stroke:#8C96A3}"
        ".g{fill:#191E24}.p{stroke:#C8CDD3}.q{fill:#14181D;stroke:#5B6570}.bg{fill:#14181D}");
    for (int i = 0; i < US_VK_N; i++)
        us_buf_addf(b, ".k%d{fill:%s}", i, us_vkind_get((us_vkind)i)->dark);
    us_buf_adds(b, ".s9{fill:#C8CDD3}.s7{fill:#9A9A9A}}");
}

/* One decimal, without a sign of zero or trailing zeros. */
static void number(us_buf *b, float x)
{
    long t = lroundf(x * 10);
    if (t < 0) us_buf_addc(b, '-');
    if (t < 0) t = -t;
    us_buf_addf(b, t % 10 ? "%ld.%ld" : "%ld", t / 10, t % 10);
}

static void attr(us_buf *b, const char *name, float x)
{
    us_buf_addf(b, " %s=\"", name);
    number(b, x);
    us_buf_addc(b, '"');
}

static void at(us_buf *b, const char *command, float x, float y)
{
    us_buf_adds(b, command);
    number(b, x);
    us_buf_addc(b, ' ');
    number(b, y);
}

static void rect(us_buf *b, const char *cls, float x, float y, float w, float h, float r)
{
    us_buf_addf(b, "<rect class=\"%s\"", cls);
    attr(b, "x", x);
    attr(b, "y", y);
    attr(b, "width", w);
    attr(b, "height", h);
    if (r > 0) attr(b, "rx", r);
    us_buf_adds(b, "/>");
}

static void text(us_buf *b, const char *cls, float x, float y, us_sv s)
{
    us_buf_addf(b, "<text class=\"%s\"", cls);
    attr(b, "x", x);
    attr(b, "y", y);
    us_buf_addc(b, '>');
    us_view_xml(b, s);
    us_buf_adds(b, "</text>");
}

/* --- items -------------------------------------------------------------------------------------------------- */

static void draw_graph(const us_view *v, const us_vgraph *g, us_buf *b);

static void draw_subs(const us_view *v, const us_item *it, us_buf *b)
{
    for (uint32_t s = 0; s < it->n_subs; s++) {
        const us_vgraph *g = it->subs[s];
        rect(b, "q", g->x, g->y - US_V_SUBTITLE + 4, g->w, g->h + US_V_SUBTITLE - 4, 4);
        text(b, "m", g->x + 8, g->y - 4, g->title);
        draw_graph(v, g, b);
    }
}

static void draw_item(const us_view *v, const us_item *it, us_buf *b)
{
    bool end = it->role != US_ITEM_NODE;
    us_sv name = it->role == US_ITEM_NODE ? it->g->g->nodes.at[it->node].name : it->title;
    us_buf_addf(b, "<g class=\"n\" data-i=\"%u\">", it->id);
    if (name.n) {
        us_buf_adds(b, "<title>");
        us_view_xml(b, (us_sv){name.p, US_MIN(name.n, 200)});
        us_buf_adds(b, "</title>");
    }
    if (it->n_subs)
        us_buf_adds(b, "<rect class=\"g\"");
    else
        us_buf_addf(b, "<rect class=\"k%d%s\"", (int)it->kind, end ? " p" : "");
    if (it->role == US_ITEM_OUTER) us_buf_adds(b, " stroke-dasharray=\"3 2\"");
    attr(b, "x", it->x);
    attr(b, "y", it->y);
    attr(b, "width", it->w);
    attr(b, "height", it->h);
    attr(b, "rx", end ? 11 : 3);
    us_buf_adds(b, "/>");
    if (!end) {
        const char cls[3] = {'s', (char)('0' + (int)it->kind), 0};
        rect(b, cls, it->x, it->y, 5, it->h, 2);
    }
    if (it->n_subs) { /* what is around drawings has a head in its colour */
        const char cls[3] = {'k', (char)('0' + (int)it->kind), 0};
        rect(b, cls, it->x + 5, it->y, it->w - 5, US_V_HEAD, 0);
    }
    float x = it->x + US_V_PAD + (end ? 0 : 3), y = it->y + 16.5F;
    text(b, "o", x, y, it->title);
    if (it->note.n) text(b, "m d", x + us_view_width(it->title, 13) * 1.13F + 6, y, it->note);
    for (uint32_t i = 0; i < it->n_lines; i++) {
        y += US_V_LINE;
        text(b, "d", x, y, it->lines[i]);
    }
    us_buf_adds(b, "</g>");
    draw_subs(v, it, b);
}

static void draw_box(const us_view *v, const us_vgraph *g, uint32_t box, us_buf *b)
{
    const us_item *head = &g->items[g->box_head[box]];
    for (uint32_t i = g->box_head[box]; i != US_NIL; i = g->stack_next[i])
        draw_item(v, &g->items[i], b);
    if (head->role == US_ITEM_NODE)
        rect(b, "f", head->x, head->y, head->w, g->lay.boxes[box].h, 3);
    us_buf_adds(b, "\n");
}

/* --- curves --------------------------------------------------------------------------------------------------- */

static void curve(us_buf *b, float x0, float y0, float x1, float y1)
{
    float m = (y0 + y1) / 2;
    at(b, "C", x0, m);
    at(b, " ", x1, m);
    at(b, " ", x1, y1);
}

static float cut_short(float a, float b)
{
    float d = a - b;
    return b + fmaxf(-CORNER, fminf(CORNER, d / 2));
}

/* To q on the way from p to r, round. Lines here are straight down, up or across. */
static void corner(us_buf *b, us_lay_point p, us_lay_point q, us_lay_point r, float dx,
                   float dy)
{
    at(b, "L", cut_short(p.x, q.x) + dx, cut_short(p.y, q.y) + dy);
    at(b, "Q", q.x + dx, q.y + dy);
    at(b, " ", cut_short(r.x, q.x) + dx, cut_short(r.y, q.y) + dy);
}

static void draw_link(const us_vgraph *g, uint32_t net, const us_lay_link *link, us_buf *b)
{
    float dx = g->x + US_V_PAD, dy = g->y + US_V_PAD;
    us_buf_addf(b, "<path class=\"e%s\" data-v=\"%u\" d=\"", link->at ? "" : " c",
                g->value0 + g->net_val[net]);
    if (!link->at) { /* too long: a stub where it ends */
        float y = g->lay.boxes[link->to].y + dy;
        at(b, "M", link->end_x + dx, y - 18);
        at(b, "L", link->end_x + dx, y - 5);
    } else {
        const us_lay_point *p = link->at;
        at(b, "M", p[link->first].x + dx, p[link->first].y + dy);
        for (uint32_t i = link->first + 1; i < link->n_at; i++) {
            bool last = i + 1 == link->n_at;
            if (p[i].corner)
                corner(b, p[i - 1], p[i], p[i + 1], dx, dy);
            else if (i % 2)
                at(b, "L", p[i].x + dx, p[i].y + dy);
            else
                curve(b, p[i - 1].x + dx, p[i - 1].y + dy, p[i].x + dx,
                      p[i].y + dy - (last ? 5.0F : 0));
        }
    }
    us_buf_adds(b, "\"/>");
    us_buf_adds(b, "<path class=\"a\" d=\"");
    float x = link->end_x + dx, y = g->lay.boxes[link->to].y + dy;
    at(b, "M", x, y);
    us_buf_adds(b, "l-3.5 -6h7z\"/>\n");
}

static void draw_label(const us_vgraph *g, uint32_t net, us_buf *b)
{
    const us_lay_net *n = &g->lay.nets[net];
    const us_lay_box *box = &g->lay.boxes[n->from];
    if (!g->net_label[net].n || n->n_right >= MAX_LABELS) return;
    text(b, "l d", n->start_x + g->x + US_V_PAD + 5,
         box->y + box->h + g->y + US_V_PAD + (float)(US_V_LABEL * (1 + n->n_right)),
         g->net_label[net]);
}

/* --- graphs --------------------------------------------------------------------------------------------------- */

static void draw_graph(const us_view *v, const us_vgraph *g, us_buf *b)
{
    for (uint32_t i = 0; i < g->lay.n_nets; i++) {
        for (uint32_t j = 0; j < g->lay.nets[i].n_links; j++)
            draw_link(g, i, &g->lay.nets[i].links[j], b);
    }
    for (uint32_t i = 0; i < g->lay.n_boxes; i++)
        draw_box(v, g, i, b);
    for (uint32_t i = 0; i < g->lay.n_nets; i++)
        draw_label(g, i, b);
}

/* From where to where a link goes, in the layout's coordinates. */
static void extent(const us_vgraph *g, const us_lay_link *link, float *y0, float *y1)
{
    *y1 = g->lay.boxes[link->to].y;
    *y0 = *y1 - 20;
    for (uint32_t i = link->first; link->at && i < link->n_at; i++) {
        *y0 = fminf(*y0, link->at[i].y);
        *y1 = fmaxf(*y1, link->at[i].y);
    }
}

static void draw_tile(const us_view *v, const us_vgraph *g, float y0, float y1, us_buf *b)
{
    const us_layout *l = &g->lay;
    float low = y1;
    for (uint32_t i = 0; i < l->n_boxes; i++)
        if (l->boxes[i].y >= y0 && l->boxes[i].y < y1)
            low = fmaxf(low, l->boxes[i].y + l->boxes[i].h);
    us_buf_adds(b, "<g class=\"t\" data-y=\"");
    number(b, y0);
    us_buf_addc(b, ' ');
    number(b, low + TILE_H); /* with the links that begin here */
    us_buf_adds(b, "\">\n");
    for (uint32_t i = 0; i < l->n_nets; i++)
        for (uint32_t j = 0; j < l->nets[i].n_links; j++) {
            float from, to;
            extent(g, &l->nets[i].links[j], &from, &to);
            if (from >= y0 && from < y1 && to - from <= TILE_H)
                draw_link(g, i, &l->nets[i].links[j], b);
        }
    for (uint32_t i = 0; i < l->n_boxes; i++)
        if (l->boxes[i].y >= y0 && l->boxes[i].y < y1) draw_box(v, g, i, b);
    for (uint32_t i = 0; i < l->n_nets; i++) {
        const us_lay_box *box = &l->boxes[l->nets[i].from];
        if (box->y >= y0 && box->y < y1) draw_label(g, i, b);
    }
    us_buf_adds(b, "</g>\n");
}

void us_svg_body(const us_view *v, us_buf *b)
{
    const us_vgraph *g = v->graphs.at[0];
    float step = fmaxf(TILE_H, g->lay.h / MAX_TILES + 1);
    us_buf_adds(b, "<g id=\"long\">\n");
    for (uint32_t i = 0; i < g->lay.n_nets; i++)
        for (uint32_t j = 0; j < g->lay.nets[i].n_links; j++) {
            float from, to;
            extent(g, &g->lay.nets[i].links[j], &from, &to);
            if (to - from > TILE_H) draw_link(g, i, &g->lay.nets[i].links[j], b);
        }
    us_buf_adds(b, "</g>\n");
    for (float y = 0; y <= g->lay.h; y += step)
        draw_tile(v, g, y, y + step, b);
}

static float draw_header(const us_view *v, us_buf *b)
{
    float x = US_V_MARGIN;
    text(b, "h", x, 30, us_sv_of(v->o.title));
    us_buf about;
    us_buf_init(&about, v->c, 4096);
    us_view_about(v, &about);
    text(b, "d", x + us_view_width(us_sv_of(v->o.title), 18) * 1.1F + 16, 30,
         us_buf_sv(&about));
    float w = us_view_width(us_sv_of(v->o.title), 18) * 1.1F + 16 +
              us_view_width(us_buf_sv(&about), 11);
    us_view_fail(b, &about);
    for (int i = 0; i < US_VK_N; i++) {
        char cls[3] = {'s', (char)('0' + i), 0};
        us_sv name = us_sv_of(us_vkind_get((us_vkind)i)->text);
        if (!v->used[i] || i == US_VK_IO) continue;
        rect(b, cls, x, 42, 11, 11, 2);
        text(b, "d", x + 16, 52, name);
        x += us_view_width(name, 11) + 32;
    }
    return fmaxf(x, US_V_MARGIN + w);
}

us_err us_view_svg(const us_view *v, us_buf *b)
{
    const us_vgraph *g = v->graphs.at[0];
    us_buf head;
    us_buf_init(&head, v->c, 1 << 16);
    float title = draw_header(v, &head), body = g->w + US_V_MARGIN;
    float large =
        fmaxf(1, fminf(MAX_TITLE, body / US_V_PAGE_W)); /* seen from afar: read the title */
    float w = fmaxf(title * large, body) + US_V_MARGIN;
    float h = g->h + 2 * US_V_MARGIN + HEADER_H * large - 20;
    us_buf_adds(b, "<svg xmlns=\"http://www.w3.org/2000/svg\"");
    attr(b, "width", w);
    attr(b, "height", h);
    us_buf_adds(b, " viewBox=\"0 0 ");
    number(b, w);
    us_buf_addc(b, ' ');
    number(b, h);
    us_buf_adds(b, "\">\n<style>");
    us_svg_style(b);
    us_buf_adds(b, "</style>\n");
    rect(b, "bg", 0, 0, w, h, 0);
    us_err e = us_buf_check(&head);
    us_buf_addf(b, "<g transform=\"scale(%.2f)\">", (double)large);
    us_buf_addsv(b, us_buf_sv(&head));
    us_buf_deinit(&head);
    US_TRY(e);
    us_buf_adds(b, "</g>\n<g transform=\"translate(");
    number(b, fmaxf(0, (w - 2 * US_V_MARGIN - g->w) / 2));
    us_buf_addc(b, ' ');
    number(b, HEADER_H * large - 20);
    us_buf_adds(b, ")\">\n");
    us_svg_body(v, b);
    us_buf_adds(b, "</g>\n</svg>\n");
    return us_buf_check(b);
}
