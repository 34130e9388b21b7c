#include "tools/terminals/segment_sight.h"

#include <sys/stat.h>

#include "core/order_status.h"

namespace millrace::terminals {
namespace {

/// A stage that idles leaves a sign of life each second at least.
constexpr Nanos kBrokerSilentMax = seconds(3);

/// Relaxed: a recent picture is enough, and nothing is concluded from two cells together.
template <class T>
T get(const std::atomic<T>& cell) noexcept {
    return cell.load(std::memory_order_relaxed);
}

}  // namespace

void SegmentSight::look() {
    struct stat now{};
    if (::stat(path_.c_str(), &now) != 0) {
        segment_.reset();
        return;
    }
    if (segment_ && now.st_dev == device_ && now.st_ino == inode_) {
        return;
    }
    segment_.reset();
    std::string ignored;  // not made yet, or being made: the next look finds it
    auto attached = Segment::attach(path_, Segment::Mode::ReadOnly, ignored);
    if (attached) {
        segment_ = std::move(attached).value();
        device_ = now.st_dev;
        inode_ = now.st_ino;
    }
}

bool SegmentSight::broker_works() const {
    const StageEntry& broker = segment_->stage(StageId::Broker);
    const auto state = static_cast<StageState>(get(broker.state));
    const std::int64_t silent_ns = segment_->clock().now().value - get(broker.heartbeat_ns);
    return state == StageState::Running && silent_ns < kBrokerSilentMax.value;
}

const SessionEntry* SegmentSight::entry_of(AccountId account, std::uint64_t login) const {
    if (!segment_ || account.value >= segment_->sessions()) {
        return nullptr;
    }
    const SessionEntry& entry = segment_->session(account);
    return get(entry.login) == login ? &entry : nullptr;
}

void SegmentSight::see(AccountId account, std::uint64_t login, Sight& sight) const {
    const SessionEntry* entry = entry_of(account, login);
    // Acquire, and first: a link that was written after the broker stage's end is not held against
    // the terminal.
    const std::uint32_t link = entry == nullptr ? 0 : entry->link.load(std::memory_order_acquire);
    sight.seen = entry != nullptr && broker_works();
    sight.session = sight.seen && link == static_cast<std::uint32_t>(LinkState::Up);
}

bool SegmentSight::has_live_orders(AccountId account, std::uint64_t login) const {
    const SessionEntry* entry = entry_of(account, login);
    return entry != nullptr && get(entry->live_orders) > 0;
}

void SegmentSight::report_error(const std::string& who, const std::string& what) const {
    // For this moment only: who attaches to write has every page of it entered and locked.
    std::string ignored;  // the log has it
    auto segment = Segment::attach(path_, Segment::Mode::ReadWrite, ignored);
    if (segment) {
        segment.value().report_error(who, what);
    }
}

}  // namespace millrace::terminals
