// StartWatch: says what a start waits for. Each of its steps asks a disk, and one that does not
// answer keeps it waiting in the kernel, without a word and out of every signal's reach.
#pragma once

#include "core/types.h"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace millrace {

class StartWatch {
public:
    using Tell = std::function<void(const std::string&)>;

    /// @param tell called by a thread of its own, once a step at most.
    /// @param patience how long a step may take without a word.
    explicit StartWatch(Tell tell, Nanos patience = seconds(2));
    /// The start is through, or given up.
    ~StartWatch();
    StartWatch(const StartWatch&) = delete;
    StartWatch& operator=(const StartWatch&) = delete;

    /// The next step begins. @param what "reading the log in DIR".
    void at(const std::string& what);

private:
    void watch();

    Tell tell_;
    Nanos patience_;
    std::mutex mutex_;  // of what follows
    std::condition_variable changed_;
    std::string step_;
    unsigned steps_ = 0;
    bool ended_ = false;
    std::thread thread_;
};

}  // namespace millrace
