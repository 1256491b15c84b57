/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What becomes of a call or packet to a guarded endpoint. Written once: the enum, the counters, the JSON names and the
 * table in the man page come from here.
 *
 * X(NAME, "json-name", kind, "sentence")
 * kind: A it goes on, D it is denied
 */
#pragma once

#define GUARD_OUTCOMES(X)                                                                                              \
	X(ALLOW, "allow", A, "an allow statement names the process, or the owner of the packet's socket")                                                                                                              \
	X(REQUEST, "request", A, "a request that has what its allow statements ask for")                                                                                                              \
	X(FORWARDED, "forwarded", A, "forwarded, or of another network namespace, and so allowed")                                                                                                              \
	X(CONTROL, "control", A, "an answer of the kernel itself: a reset, an acknowledgement, an ICMP error")                                                                                                              \
	X(FRAGMENT, "fragment", A, "a later fragment, which means nothing without its first one")                                                                                                              \
	X(DENY, "deny", D, "no allow statement names the process, or the owner of the packet's socket")                                                                                                              \
	X(DENY_FORWARDED, "deny-forwarded", D, "forwarded, or of another network namespace")                                                                                                              \
	X(NO_OWNER, "no-owner", D, "made by this host, and no socket owns it")                                                                                                              \
	X(NO_TOKEN, "no-token", D, "a request without the token that its allow statements ask for")                                                                                                              \
	X(PATH, "path", D, "a request for a path that no allow statement names")                                                                                                              \
	X(BAD_REQUEST, "bad-request", D, "not one whole and plain HTTP request in one segment")                                                                                                              \
	X(TABLE, "table", D, "an index pointed outside the tables")

enum guard_outcome {
#define X(name, json, kind, text) GUARD_DID_##name,
	GUARD_OUTCOMES(X)
#undef X
		GUARD_OUTCOME_MAX
};

#define GUARD_KIND_A 0u
#define GUARD_KIND_D 1u
/* Outcomes of kind D, one bit each. */
enum guard_denials {
#define X(name, json, kind, text) | GUARD_KIND_##kind << GUARD_DID_##name
	GUARD_DENIALS = 0 GUARD_OUTCOMES(X)
#undef X
};
