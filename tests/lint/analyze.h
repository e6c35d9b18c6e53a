/* Read before each file that make lint analyzes: what the analyzer cannot see across files. */
#include "base/base.h"
#define err_set(...) (err_set(__VA_ARGS__), false)
#define err_sys(...) (err_sys(__VA_ARGS__), false)
