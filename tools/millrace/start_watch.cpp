#include "tools/millrace/start_watch.h"

#include <chrono>
#include <utility>

namespace millrace {

StartWatch::StartWatch(Tell tell, Nanos patience)
    : tell_{std::move(tell)}, patience_{patience}, thread_{[this] { watch(); }} {}

StartWatch::~StartWatch() {
    {
        const std::lock_guard lock{mutex_};
        ended_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

void StartWatch::at(const std::string& what) {
    {
        const std::lock_guard lock{mutex_};
        step_ = what;
        ++steps_;
    }
    changed_.notify_one();
}

void StartWatch::watch() {
    std::unique_lock lock{mutex_};
    unsigned seen = 0;  // steps that were told of, or are over
    while (!ended_) {
        const unsigned now = steps_;
        const auto over = [&] { return ended_ || steps_ != now; };
        if (now == seen) {
            changed_.wait(lock, over);
        } else if (!changed_.wait_for(lock, std::chrono::nanoseconds{patience_.value}, over)) {
            seen = now;
            const std::string step = step_;
            // Unlocked: the log may be on the disk that does not answer, and the start goes on to
            // its next step meanwhile.
            lock.unlock();
            tell_("still " + step + " after " + std::to_string(patience_.value / 1'000'000) +
                  " ms: there is much of it, or a disk does not answer; the start goes on when it "
                  "does");
            lock.lock();
        }
    }
}

}  // namespace millrace
