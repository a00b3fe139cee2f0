/* ir/op_image.c - ImageDecoder: the bytes of an image file to pixels [H, W, C], by the decoder the session was given.
 *
 * The standard wants an empty matrix for bytes that cannot be decoded, so that a model can go on without an error; it does not
 * say which. [0, 0, C] it is here, and a warning in the log says why. Limits and memory are errors all the same.
 */
#include "ir/op_util.h"

#include "base/log.h"
#include "ir/image.h"

/* clang-format off */
static const us_param image_in[] = {{"encoded_stream", 'T', US_M(U8), 0}, US_PARAM_END};
static const us_param image_out[] = {{"image", 'U', US_M(U8), 0}, US_PARAM_END};
static const us_attr_row image_attrs[] = {
    US_AS(us_p_image_decoder, pixel_format, "pixel_format", "RGB"), US_ATTR_END};
const us_schema image_decoder_schemas[] = {
    {20, image_in, image_out, image_attrs, sizeof(us_p_image_decoder), NULL},
    {0}};
/* clang-format on */

static bool pixels_of(us_sv name, us_pixels *out)
{
    static const char *const names[] = {"RGB", "BGR", "Grayscale"};
    for (size_t i = 0; i < US_LEN(names); i++)
        if (us_sv_is(name, names[i])) {
            *out = (us_pixels)i;
            return true;
        }
    return false;
}

us_err image_decoder_infer(us_infer *k)
{
    const us_p_image_decoder *p = k->params;
    us_pixels pixels;
    if (!pixels_of(p->pixel_format, &pixels))
        return us_infer_fail(k, US_ARG, "pixel_format is not RGB, BGR or Grayscale");
    us_dim dims[3] = {US_DIM(0), US_DIM(0), US_DIM(us_pixels_channels(pixels))};
    US_TRY(us_infer_fresh(k, &dims[0]));
    US_TRY(us_infer_fresh(k, &dims[1]));
    return us_infer_out(k, 0, US_U8, 3, dims);
}

typedef struct placing {
    us_eval *k;
    int64_t channels;
    bool done;
} placing;

static us_err place(us_ctx *c, void *arg, int64_t h, int64_t w, uint8_t **pixels)
{
    (void)c;
    placing *p = arg;
    us_tensor *y;
    US_TRY(us_eval_out(p->k, 0, US_U8, 3, (int64_t[]){h, w, p->channels}, &y));
    *pixels = y->data;
    p->done = true;
    return US_OK;
}

us_err image_decoder_eval(us_eval *k)
{
    const us_p_image_decoder *p = k->params;
    const us_image_codec *codec = k->env->images;
    us_pixels pixels;
    us_tensor x, *y;
    if (!codec) return us_eval_fail(k, US_UNSUPP, "the session was given no decoder of images");
    if (!pixels_of(p->pixel_format, &pixels))
        return us_eval_fail(k, US_ARG, "unknown pixel_format");
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (x.dtype != US_U8 || x.rank != 1)
        return us_eval_fail(k, US_SHAPE, "the input is not one row of bytes (uint8 [n])");
    placing at = {.k = k, .channels = us_pixels_channels(pixels)};
    us_sv bytes = {x.data, (size_t)x.dims[0]};
    us_err e = codec->decode(k->c, codec->ud, bytes, pixels, place, &at);
    if (e == US_OK && !at.done)
        return us_eval_fail(k, US_BUG, "the decoder of images gave no size");
    if (e == US_OK || (e != US_FORMAT && e != US_UNSUPP)) return e;
    us_logf(k->c, US_LOG_WARN, "ImageDecoder '" US_SV_FMT "' gives an empty image: %s",
            US_SV_ARG(k->n->name), k->c->diag.text);
    return us_eval_out(k, 0, US_U8, 3, (int64_t[]){0, 0, at.channels}, &y);
}
