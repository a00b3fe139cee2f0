/* ir/bind_plain.h - elementwise operators of types that have no vector programs (kernel/map.h), as calls. */
#ifndef USTA_IR_BIND_PLAIN_H
#define USTA_IR_BIND_PLAIN_H

#include "ir/op.h"

/* Binds node k by the loops of kernel/ref.h, or leaves the call as it is. */
us_err us_plain_bind(us_eval *k, us_call *call) US_MUST;

#endif
