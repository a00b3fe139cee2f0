/* base/banned.h - calls that have a better form here; tools/check-source enforces the same list without
 * needing the include. base wraps what has to be wrapped. */
#ifndef USTA_BASE_BANNED_H
#define USTA_BASE_BANNED_H

#define US_BANNED_EVERYWHERE   "strcpy strcat sprintf vsprintf strtok atoi atol atof gets"
#define US_BANNED_OUTSIDE_BASE "malloc calloc realloc free fopen rand srand time getenv printf"

#endif
