#include "persist/sign_of_life.h"

#include <chrono>
#include <utility>

namespace millrace {
namespace {

constexpr std::chrono::milliseconds kEvery{250};
constexpr Nanos kAtLeast = seconds(60);
constexpr std::uint64_t kBytesPerSecond = std::uint64_t{4} << 20U;

}  // namespace

Nanos patience_with(std::uint64_t bytes) noexcept {
    return kAtLeast + seconds(static_cast<std::int64_t>(bytes / kBytesPerSecond));
}

SignOfLife::SignOfLife(std::function<bool()> show, Nanos most)
    : show_{std::move(show)}, most_{most}, thread_{[this] { run(); }} {}

SignOfLife::~SignOfLife() {
    {
        const std::lock_guard lock{mutex_};
        over_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

void SignOfLife::run() {
    const auto until = std::chrono::steady_clock::now() + std::chrono::nanoseconds{most_.value};
    std::unique_lock lock{mutex_};
    bool more = most_.value > 0;
    while (more) {
        lock.unlock();
        more = show_();
        lock.lock();
        more = more && !changed_.wait_for(lock, kEvery, [this] { return over_; }) &&
               std::chrono::steady_clock::now() < until;
    }
}

}  // namespace millrace
