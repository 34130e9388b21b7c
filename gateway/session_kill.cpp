#include "gateway/session_kill.h"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace millrace {
namespace {

/// Copies released command `n`, whose slot a `millrace kill` may be filling again, or was filling
/// when it was killed: its number, which still is `n`, says nothing about its bytes then.
/// @return false, and `out` is nothing, if it may be so.
bool copy_if_whole(const RingView<KillSlot>& ring, std::uint64_t n, KillCommand& out) noexcept {
    const auto& slot = ring.slot(n);
    // Acquire: pairs with RingProducer::commit(); the command's bytes are visible.
    if (slot.sequence.load(std::memory_order_acquire) != n) {
        return false;
    }
    std::memcpy(static_cast<void*>(&out), &slot.payload.value, sizeof out);
    // Acquire: had the copy met bytes of the slot's next command, then the look below would meet
    // the number of the command before that one. Pairs with the release fence in
    // KillClient::send().
    std::atomic_thread_fence(std::memory_order_acquire);
    const std::uint64_t before = n + ring.capacity() - 1;
    return ring.slot(before).sequence.load(std::memory_order_relaxed) < before;
}

/// A later kill takes nothing back: a stop after a flatten that still tries does not end it.
std::uint8_t together(std::uint8_t before, std::uint8_t actions) noexcept {
    return actions == 0 ? std::uint8_t{0} : static_cast<std::uint8_t>(before | actions);
}

}  // namespace

KillBoard::KillBoard(const Segment& segment) : segment_{&segment}, accounts_(segment.sessions()) {
    for (std::uint32_t i = 0; i < segment.sessions(); ++i) {
        // Relaxed: written by the broker stage alone, which this process now is.
        accounts_[i].actions = static_cast<std::uint8_t>(
            segment.session(AccountId{i}).killed.load(std::memory_order_relaxed));
    }
    restore();
}

void KillBoard::restore() {
    const auto view = segment_->ring<KillSlot>("admin.broker");
    // Relaxed: this thread is the ring's consumer. What is above the cursor comes by the ring.
    const std::uint64_t read = view.control->read_cursor.load(std::memory_order_relaxed);
    std::vector<KillCommand> kept;
    // From the newest back, so that what is overwritten meanwhile is always the oldest: a kill must
    // not be found again without the clearing that came after it.
    for (std::uint64_t n = read; n != 0 && read - n < view.capacity(); --n) {
        KillCommand kill;
        if (!copy_if_whole(view, n, kill)) {
            break;
        }
        kept.push_back(kill);
    }
    for (auto kill = kept.rbegin(); kill != kept.rend(); ++kill) {
        static_cast<void>(apply(*kill));  // refused then, refused now
    }
}

bool KillBoard::apply(const KillCommand& kill) noexcept {
    switch (kill.scope) {
        case KillScope::All:
            for (std::uint32_t i = 0; i < accounts_.size(); ++i) {
                apply_to_account(AccountId{i}, kill);
            }
            return true;
        case KillScope::Account:
            if (kill.scope_id >= accounts_.size()) {
                return false;
            }
            apply_to_account(AccountId{kill.scope_id}, kill);
            return true;
        case KillScope::Symbol: return apply_to_symbol(kill);
        case KillScope::Group:
        case KillScope::Source: return false;
    }
    return false;
}

void KillBoard::apply_to_account(AccountId account, const KillCommand& kill) noexcept {
    InForce& f = accounts_[account.value];
    f = InForce{kill.kill_id, together(f.actions, kill.actions), {}};
    // Relaxed: who shows it takes nothing else from it, and the next stage reads it after proof of
    // this one's death. The release of the command's slot comes after it.
    segment_->session(account).killed.store(f.actions, std::memory_order_relaxed);
}

bool KillBoard::apply_to_symbol(const KillCommand& kill) noexcept {
    if (kill.symbol == Text<16>{}) {
        return false;
    }
    const auto begin = symbols_.begin();
    const auto end = begin + static_cast<std::ptrdiff_t>(symbol_count_);
    auto at = std::find_if(begin, end, [&](const InForce& f) { return f.symbol == kill.symbol; });
    if (at == end && symbol_count_ == symbols_.size()) {
        at = std::find_if(begin, end, [](const InForce& f) { return f.actions == 0; });
        if (at == end) {
            return false;
        }
    } else if (at == end) {
        ++symbol_count_;
    }
    const std::uint8_t before = at->symbol == kill.symbol ? at->actions : std::uint8_t{0};
    *at = InForce{kill.kill_id, together(before, kill.actions), kill.symbol};
    return true;
}

bool KillBoard::stops(AccountId account, const Text<16>& canonical) const noexcept {
    if ((accounts_[account.value].actions & kKillStop) != 0) {
        return true;
    }
    for (std::size_t i = 0; i < symbol_count_; ++i) {
        if ((symbols_[i].actions & kKillStop) != 0 && symbols_[i].symbol == canonical) {
            return true;
        }
    }
    return false;
}

std::size_t KillBoard::frames(AccountId account) const noexcept {
    const InForce& own = accounts_[account.value];
    return (own.kill_id != 0 || own.actions != 0 ? 1U : 0U) + symbol_count_;
}

bridge::Kill KillBoard::frame(AccountId account, std::size_t index) const noexcept {
    ASSERT(index < frames(account));
    const bool own_first = frames(account) > symbol_count_;
    const InForce& f =
        own_first && index == 0 ? accounts_[account.value] : symbols_[index - (own_first ? 1 : 0)];
    bridge::Kill out{};
    // An id of 0 is one that has left the ring: a name of its own makes the terminal act on it.
    out.kill_id = f.kill_id != 0 ? f.kill_id : segment_->uuid_low();
    out.actions = f.actions;
    std::memcpy(out.symbol, f.symbol.bytes, sizeof out.symbol);
    return out;
}

}  // namespace millrace
