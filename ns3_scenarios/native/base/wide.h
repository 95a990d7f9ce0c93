// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_WIDE_H
#define COSIM_WIDE_H

/// Before a function: compiled for AVX2 too, and that is called where the processor has it. Four doubles are computed
/// at once, each to the same bit as without: AVX2 has no fused operations, and what is summed in turn stays so.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define COSIM_WIDE [[gnu::target_clones("avx2", "default")]]
#else
#define COSIM_WIDE
#endif

#endif
