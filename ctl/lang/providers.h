/* SPDX-License-Identifier: GPL-2.0 */
/* Where the machines of a provider find their metadata and credentials. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PROVIDER_ENDPOINTS 4

struct provider {
	const char *name;
	const char *source; /* the document of the vendor's that says so */
	struct provider_endpoint {
		const char *addr; /* NULL behind the last one */
		uint16_t port;
		unsigned int tokens; /* enum guard_token */
	} endpoint[PROVIDER_ENDPOINTS + 1];
};

/* Ended by a NULL name. */
extern const struct provider providers[];

/* NULL: there is none of this name. */
const struct provider *provider_find(const char *name, size_t length);
