/* SPDX-License-Identifier: GPL-2.0 */
/* Whether the free lists, and what counts them, agree. */
#ifndef __PALLOC_TEST_LOSSLESS_H
#define __PALLOC_TEST_LOSSLESS_H

#include <stdbool.h>

bool palloc_verified(void);
bool palloc_lossless(void);

#endif /* __PALLOC_TEST_LOSSLESS_H */
