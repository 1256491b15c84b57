/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The small world in which random rules and random frames meet: few addresses, ports and tags, so that a rule that
 * names one is hit by a frame that carries it.
 */
#pragma once

#include <stdint.h>

#define POOL_SIZE(array) (sizeof(array) / sizeof(*(array)))

static const uint8_t pool_ipv4[][4] = {
	{ 10, 0, 0, 1 },   { 10, 0, 0, 2 },        { 10, 0, 1, 1 },     { 10, 128, 0, 1 },   { 192, 0, 2, 1 },
	{ 192, 0, 2, 77 }, { 192, 0, 2, 255 },     { 198, 51, 100, 7 }, { 198, 51, 100, 8 }, { 203, 0, 113, 10 },
	{ 0, 0, 0, 0 },    { 255, 255, 255, 255 }, { 127, 0, 0, 1 },    { 224, 0, 0, 251 },
};

static const uint8_t pool_ipv6[][16] = {
	{ 0x20, 0x01, 0x0d, 0xb8, [15] = 1 },
	{ 0x20, 0x01, 0x0d, 0xb8, [15] = 2 },
	{ 0x20, 0x01, 0x0d, 0xb8, [5] = 7, [15] = 1 },
	{ 0x20, 0x01, 0x0d, 0xb8, [5] = 7, [7] = 0xff, [8] = 0x80, [15] = 9 },
	{ 0x20, 0x01, 0x0d, 0xb8, [6] = 0x80, [11] = 1 },
	{ 0xfe, 0x80, [8] = 2, [11] = 0xff, [12] = 0xfe, [15] = 1 },
	{ 0xff, 0x02, [15] = 1 },
	{ [10] = 0xff, 0xff, 10, 0, 0, 1 }, /* IPv4-mapped: not the IPv4 address */
	{ 0 },
	{ 10, 0, 0, 1 }, /* starts like the IPv4 address */
};

static const uint8_t pool_mac[][6] = {
	{ 0x02, 0, 0, 0, 0, 1 },
	{ 0x02, 0, 0, 0, 0, 2 },
	{ 0x02, 0, 0, 0, 1, 1 },
	{ 0x02, 0, 0x5e, 1, 2, 3 },
	{ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
};

static const uint16_t pool_port[] = { 0, 1, 22, 53, 80, 81, 89, 90, 443, 1024, 8080, 40000, 65534, 65535 };
static const uint8_t pool_proto[] = { 6, 6, 6, 6, 17, 17, 17, 132, 1, 58, 50, 47, 2, 59, 136, 255 };
static const uint16_t pool_etype[] = { 0x0806, 0x88cc, 0x8847, 0x0842, 0x9100, 0x05dc, 0x0026, 0xffff };
static const uint16_t pool_vlan[] = { 0, 1, 2, 7, 100, 101, 4094, 4095 };
static const uint8_t pool_icmp[] = { 0, 3, 5, 8, 11, 13 };
static const uint8_t pool_icmpv6[] = { 1, 2, 3, 128, 129, 133, 134, 135, 136 };
static const uint8_t pool_dscp[] = { 0, 8, 10, 26, 46, 48, 63 };
static const uint8_t pool_ttl[] = { 1, 2, 63, 64, 128, 255 };
static const uint16_t pool_length[] = { 20, 28, 40, 46, 60, 61, 100, 576, 1500, 8000 };
static const uint32_t pool_mark[] = { 0, 1, 2, 0x10, 0xff00, 0x80000001 };
static const uint32_t pool_uid[] = { 0, 1, 33, 1000, 65534 };
static const uint16_t pool_frag_off[] = { 0, 2, 3, 64, 185, 8191 };
