#include "core/assert.h"

#include <cstdio>
#include <cstdlib>

namespace millrace {

void assert_failed(const char* condition, const char* file, int line) noexcept {
    // stderr is unbuffered; the process ends here, so the cost does not matter.
    std::fprintf(stderr, "ASSERT failed: %s at %s:%d\n", condition, file, line);
    std::abort();
}

}  // namespace millrace
