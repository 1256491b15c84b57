#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The smoke test, and the frames that this machine's kernel may lack devices for, on other kernels, each in a guest.
# WEIR_VM is the path of a runner, called as `$WEIR_VM -k VERSION -- COMMAND`, whose guest sees this tree and returns
# the command's exit code.
set -u
cd "$(dirname "$0")/.." || exit 1
if [ -z "${WEIR_VM:-}" ] || [ ! -x "$WEIR_VM" ]; then
	echo "SKIP  WEIR_VM does not name a runner for guests"
	exit 0
fi
failed=0
for kernel in ${KERNELS:-6.1 6.12 6.18}; do
	echo "== kernel $kernel"
	for test in smoke.py "t-verdicts.py tags owner redirect"; do
		# 125: the guest itself died; that alone is worth another try.
		for _ in 1 2; do
			# shellcheck disable=SC2086 # the words of a test are separate
			"$WEIR_VM" -k "$kernel" -t 300 -- /usr/bin/env PYTHONDONTWRITEBYTECODE=1 B="${B:-.build}" \
				/usr/bin/python3 "$PWD/netns-tests/"$test
			code=$?
			[ $code = 125 ] || break
		done
		[ "$code" = 0 ] || { failed=$((failed + 1)); echo "== kernel $kernel: $test: exit $code"; }
	done
done
[ $failed = 0 ] && echo "== all passed"
exit $failed
