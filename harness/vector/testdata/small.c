// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * As little as an object can have that has some of everything: a program, a map, a constant, lines. What reads objects is fuzzed from here,
 * where most bytes matter.
 */
volatile const int answer = 42;

struct {
	int (*type)[1]; /* BPF_MAP_TYPE_HASH */
	int *key;
	struct {
		short a, b;
	} *value;
	int (*max_entries)[1];
} m __attribute__((section(".maps"), used));

__attribute__((section("xdp"), used)) int p(void *ctx)
{
	void *(*lookup)(void *map, const void *key) = (void *)1;
	int key = answer;

	return lookup(&m, &key) != 0;
}

char l[] __attribute__((section("license"), used)) = "GPL";
