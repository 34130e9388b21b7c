// Where tests that draw begin.
#pragma once

#include <cstdlib>
#include <random>

namespace millrace::test {

/// The same in every run, so that a failure is nobody's bad luck; another one each time where
/// MILLRACE_LONG asks for more. Print it with the failure.
inline unsigned first_seed() {
    return std::getenv("MILLRACE_LONG") != nullptr ? std::random_device{}() : 20'261'122;
}

}  // namespace millrace::test
