/* SPDX-License-Identifier: GPL-2.0 */
/* Numbers in packets, and Internet checksums, a byte at a time: nothing of bpf/, and no byte order of this machine. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline unsigned int half(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static inline void set_half(uint8_t *at, unsigned int value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static inline uint32_t word(const uint8_t *at)
{
	return (uint32_t)half(at) << 16 | half(at + 2);
}

static inline void set_word(uint8_t *at, uint32_t value)
{
	set_half(at, value >> 16);
	set_half(at + 2, value);
}

/* The sum so far and that of more bytes, 16 bits each, folded to 16: 0xffff over what has a right checksum. */
static inline uint32_t add_up(uint32_t sum, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? bytes[i] : bytes[i] << 8;
	while (sum > 0xffff)
		sum = sum % 0x10000 + sum / 0x10000;
	return sum;
}

/* Over the transport of an IP packet with nothing between the headers: 0xffff where its checksum is right. */
static inline uint32_t transport_sum(const uint8_t *ip)
{
	bool ipv6 = *ip >> 4 == 6;
	size_t header = ipv6 ? 40 : 20, bytes = ipv6 ? half(ip + 4) : half(ip + 2) - header;
	unsigned int proto = ipv6 ? ip[6] : ip[9];
	uint8_t pseudo[4] = { 0, proto, bytes >> 8, bytes };
	uint32_t sum = 0;

	if (proto != 1) /* ICMP has no pseudo-header */
		sum = add_up(add_up(0, ip + (ipv6 ? 8 : 12), ipv6 ? 32 : 8), pseudo, 4);
	return add_up(sum, ip + header, bytes);
}
