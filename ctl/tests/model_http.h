/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The reference for requests to guarded endpoints: what decision 0018 says, by cutting the text into lines and words.
 * Slow, and nothing of bpf/.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum model_http_result { MODEL_HTTP_BAD, MODEL_HTTP_PLAIN, MODEL_HTTP_TOKEN };

/* What counts as a token: bits of `tokens`. */
enum model_http_token {
	MODEL_HTTP_AWS = 1,
	MODEL_HTTP_GCP = 2,
	MODEL_HTTP_AZURE = 4,
	MODEL_HTTP_ALIBABA = 8,
	MODEL_HTTP_ORACLE = 16,
};

struct model_request {
	enum model_http_result result;
	/* What may be told of it, also of a bad one; points into the text. */
	const char *method, *path;
	size_t n_method, n_path;
	bool odd_path; /* this and the next mean nothing of a bad one */
	bool session;
};

struct model_request model_http(const char *text, size_t n, unsigned int tokens);
