// The distinct-error log. An entry's `hash` is 0 while it is free, even while it is being written
// and odd once stage and text stand in it. It is claimed by compare-and-swap, filled, then
// published.
//
// Who finds its own error claimed but not yet published writes stage and text as well instead of
// waiting: the bytes are the same whoever writes them, and the claimer may have been killed. So no
// entry stays without a text for longer than until its error comes again, and no error is entered
// twice.
//
// Entries are never freed before the next segment, and what comes from outside may have many texts.
// So the last part is kept for those on whom safety and supervision rest; stages that strangers or
// servers outside talk to fill only the first, and what finds no room is counted in the last entry,
// which says so.
#include <algorithm>
#include <array>
#include <span>

#include "core/crash_point.h"
#include "shm/error_log.h"
#include "shm/segment.h"

namespace millrace {
namespace {

void mix(std::uint64_t& hash, std::string_view text) noexcept {
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;  // FNV-1a
    }
}

/// What a claimed entry holds: even and not 0. Of what the entry will show and no more: two that
/// look alike would be of no use to anybody.
std::uint64_t claim_of(std::string_view stage, std::string_view text) noexcept {
    std::uint64_t hash = 0xCBF29CE484222325ULL;
    mix(hash, stage);
    hash *= 0x100000001B3ULL;  // a zero between them: another stage's error is another error
    mix(hash, text);
    hash &= ~std::uint64_t{1};
    return hash == 0 ? 2 : hash;
}

/// Relaxed, byte by byte: others may be writing the same bytes; publish() orders them.
void write(std::span<char> field, std::string_view text) noexcept {
    for (std::size_t i = 0; i < text.size(); ++i) {
        std::atomic_ref<char>{field[i]}.store(text[i], std::memory_order_relaxed);
    }
}

void publish(ErrorEntry& e, std::uint64_t claim, std::string_view stage, std::string_view text,
             std::int64_t now) noexcept {
    write(e.stage, stage);
    write(e.text, text);
    std::int64_t never = 0;
    e.first_ns.compare_exchange_strong(never, now, std::memory_order_relaxed);
    // Release: pairs with the acquire of readers and of report_error(): whoever sees an odd hash
    // sees stage and text whole.
    e.hash.store(claim | 1U, std::memory_order_release);
}

constexpr std::uint32_t kOverflowEntry = kErrors - 1;
/// For the stages below, and for alerts of all.
constexpr std::uint32_t kReservedEntries = 16;
constexpr std::array<std::string_view, 6> kOnWhomSafetyRests = {"supervisor", "journal", "engine",
                                                                "replica",    "core-0",  "core-1"};

std::uint32_t entries_for(std::string_view stage, std::string_view text) noexcept {
    const bool reserved = std::find(kOnWhomSafetyRests.begin(), kOnWhomSafetyRests.end(), stage) !=
                          kOnWhomSafetyRests.end();
    return kOverflowEntry - (reserved || text.starts_with("ALERT") ? 0 : kReservedEntries);
}

/// Never earlier than the first time, nor than what is there: several may be counting, and each
/// looked at the clock before. Relaxed: counts and times order nothing.
void note_time(ErrorEntry& e, std::int64_t now) noexcept {
    const std::int64_t last = std::max(now, e.first_ns.load(std::memory_order_relaxed));
    std::int64_t before = e.last_ns.load(std::memory_order_relaxed);
    while (before < last &&
           !e.last_ns.compare_exchange_weak(before, last, std::memory_order_relaxed)) {
    }
}

/// Counts the error in `e` if that is free or its own already. @return false if it is another's.
bool count_in(ErrorEntry& e, std::string_view stage, std::string_view text,
              const Clock& clock) noexcept {
    const std::int64_t now = clock.now().value;
    const std::uint64_t claim = claim_of(stage, text);
    std::uint64_t seen = 0;
    // Acquire on failure: pairs with the release in publish(). On success it orders nothing that is
    // needed, but g++ warns of a failure that is ordered more than its success.
    if (e.hash.compare_exchange_strong(seen, claim, std::memory_order_acquire)) {
        MILLRACE_CRASH_POINT("error_log.claimed");
        seen = claim;
    }
    if (seen == claim) {
        publish(e, claim, stage, text, now);
    } else if (seen != (claim | 1U)) {
        return false;
    }
    note_time(e, now);
    e.count.fetch_add(1, std::memory_order_relaxed);
    // Once more, behind the count: a supervisor that has looked and not seen it has looked earlier
    // than this says. Its successor takes for told what is older than that look.
    note_time(e, clock.now().value);
    return true;
}

}  // namespace

void Segment::report_error(std::string_view stage, std::string_view text) const noexcept {
    stage = stage.substr(0, sizeof ErrorEntry::stage - 1);
    text = text.substr(0, sizeof ErrorEntry::text - 1);
    const std::uint32_t entries = entries_for(stage, text);
    for (std::uint32_t i = 0; i < entries; ++i) {
        if (count_in(error(i), stage, text, clock())) {
            return;
        }
    }
    // Of a segment of an older build it may be another's: then there is nothing left to do.
    (void)count_in(error(kOverflowEntry), "error log", kErrorsNotKept, clock());
}

}  // namespace millrace
