/* conf/opt_kinds.h - what the parts of the option table share among themselves. */
#ifndef USTA_CONF_OPT_KINDS_H
#define USTA_CONF_OPT_KINDS_H

#include "conf/opt.h"

const char *
us_opt_kind_word(us_opt_kind k); /* in --help: "N", "NUMBER"; "" for flags without a value */

#endif
