/* report/width.h - cutting texts at a width; the inside of tables. */
#ifndef USTA_REPORT_WIDTH_H
#define USTA_REPORT_WIDTH_H

#include "base/str.h"

size_t us_text_cut(us_sv s, int width); /* bytes of s that fit into `width` columns */

#endif
