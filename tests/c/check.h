/* The checks of the C programs: all of them run, and the exit code says whether one failed. */
#ifndef ISOFOLD_TEST_CHECK_H
#define ISOFOLD_TEST_CHECK_H

#include <stdio.h>
#include <string.h>

static int checks_failed = 0;

#define CHECK(condition)                                                            \
  do {                                                                              \
    if (!(condition)) {                                                             \
      fprintf(stderr, "%s:%d: CHECK(%s) is not so\n", __FILE__, __LINE__, #condition); \
      ++checks_failed;                                                              \
    }                                                                               \
  } while (0)

/* A call that succeeds. */
#define CHECK_OK(call)                                                                                    \
  do {                                                                                                    \
    const isofold_status check_status = (call);                                                           \
    if (check_status != ISOFOLD_OK) {                                                                     \
      fprintf(stderr, "%s:%d: %s: %s: %s\n", __FILE__, __LINE__, #call, isofold_status_name(check_status), \
              isofold_last_error());                                                                      \
      ++checks_failed;                                                                                    \
    }                                                                                                     \
  } while (0)

/* A call that fails so, with these words in the last error. */
#define CHECK_FAILS(expected, words, call)                                                                        \
  do {                                                                                                            \
    const isofold_status check_status = (call);                                                                   \
    if (check_status != (expected) || strstr(isofold_last_error(), words) == NULL) {                              \
      fprintf(stderr, "%s:%d: %s: %s: \"%s\", expected %s with \"%s\"\n", __FILE__, __LINE__, #call,              \
              isofold_status_name(check_status), isofold_last_error(), isofold_status_name(expected), words);     \
      ++checks_failed;                                                                                            \
    }                                                                                                             \
  } while (0)

#endif
