// SignOfLife: shows that one long call is under way which cannot say so itself, such as a check of
// a whole file inside SQLite, or a flush of one.
//
// SQLite 3.40 calls its progress handler between its instructions, and checks all of a file's trees
// in one of them.
#pragma once

#include "core/types.h"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace millrace {

/// How long a call on a file of so many bytes may take on a slow disk before it is no sign of life
/// any more that it lasts: whoever watches shall see it then.
[[nodiscard]] Nanos patience_with(std::uint64_t bytes) noexcept;

/// While it lives, a thread of its own calls `show`. Whoever made it is inside the long call
/// meanwhile, so `show` and what that thread does itself never run at once.
class SignOfLife {
public:
    /// @param show called at once, and each 250 ms from then on; false: no more.
    /// @param most for how long at most.
    SignOfLife(std::function<bool()> show, Nanos most);
    ~SignOfLife();
    SignOfLife(const SignOfLife&) = delete;
    SignOfLife& operator=(const SignOfLife&) = delete;

private:
    void run();

    std::function<bool()> show_;
    Nanos most_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool over_ = false;
    std::thread thread_;
};

}  // namespace millrace
