// Segment: the one shared-memory file, created by `millrace up` only, attached by every stage.
//
// Attaching never resizes, zeroes or unlinks. It validates everything that it will trust and
// refuses with an error that says what is wrong and what to do.
#pragma once

#include "shm/clock.h"
#include "shm/layout.h"
#include "shm/segment_memory.h"

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace boost::interprocess {
class mapped_region;  // NOLINT(readability-identifier-naming): Boost's name
}

namespace millrace {

/// Stages with a fixed place in the stage table; the same number is their doorbell.
enum class StageId : std::uint32_t {
    Engine = 0,
    Broker = 1,
    Journal = 2,
    Replica = 3,
    Sqlite = 4,
    Ingress = 5,
    Metrics = 6,
    Supervisor = 7,
    Redis = 8,        // sink
    Rtss = 9,         // source: Redis stream of signals
    ClickHouse = 10,  // sink
};
inline constexpr std::uint32_t kStages = 11;
[[nodiscard]] const char* stage_name(StageId id) noexcept;

/// A source with rings of its own: a strategy in shared memory. TCP sources share ingress's.
struct StrategyPlan {
    std::string name;
    SourceId id;
};

/// What a new segment is to hold. Capacities are rounded up to powers of two.
struct SegmentPlan {
    std::string path;  // e.g. /dev/shm/millrace-demo
    std::string journal_dir;
    std::uint32_t sessions = 64;        // account ids 0 .. sessions-1
    std::uint32_t session_slots = 256;  // commands queued per account
    std::uint32_t journal_slots = 1U << 15;
    std::uint32_t orders_slots = 1U << 12;
    std::uint32_t reports_slots = 1U << 13;
    std::uint32_t signals_slots = 1U << 11;
    std::uint32_t results_slots = 1U << 13;
    std::uint32_t holdings_slots = kHoldingsSlots;
    std::uint32_t admin_slots = 1U << 11;
    std::vector<StrategyPlan> strategies;
    MemoryPlan memory;  // what was had is recorded in the header
};

class Segment {
public:
    Segment() noexcept;
    ~Segment();
    Segment(Segment&&) noexcept;
    Segment& operator=(Segment&&) noexcept;

    enum class Mode { ReadWrite, ReadOnly };

    /// Creates `plan.path` (mode 0600), reserves, enters and (if wished) locks every page, writes
    /// the magic last. Fails if the file exists.
    /// @param message what is wrong; if nothing is: what of `plan.memory` was refused, or empty.
    /// @return Busy: the file exists. NoSpace names the bytes needed and available. Unsupported,
    /// BadInput: of `plan.memory`. IoError with errno. No file is left behind.
    static Result<Segment> create(const SegmentPlan& plan, std::string& message);

    /// Maps an existing segment (or, read-only, a copy of one) and validates it: ReadOnly what is
    /// indexed (header, directory, ring controls, tables); ReadWrite also boot, cursors and slot
    /// numbers, but of rings that one source or account has (source_ring.h). Changes no byte.
    /// ReadWrite enters every page into this process's page table, and locks them if the creator
    /// did (see locked()). Symbolic links are not followed; what is no regular file is not opened
    /// for reading.
    /// @return BadMagic, BadVersion, BadLayout, BadChecksum, BadCursor, OtherBoot, BadAuth (another
    /// user's), BadInput (no regular file), NotFound, IoError; `message` names the field and both
    /// values. (A file that its owner cuts while it is mapped raises SIGBUS: the kernel knows no
    /// seal for files in /dev/shm. Mode 0600 keeps others from doing it.)
    static Result<Segment> attach(const std::string& path, Mode mode, std::string& message);

    /// The file, as create() or attach() was given it.
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    /// True if this process has the segment locked in memory.
    [[nodiscard]] bool locked() const noexcept { return locked_; }

    /// Checks cursor and slot numbers of one ring, as attaching does for shared ones.
    /// @return BadCursor: `message` names ring, slot and numbers. Threads: any, while traffic
    /// flows.
    [[nodiscard]] Status check_ring(std::uint32_t index, std::string& message) const;

    /// True if the segment was created during this boot of this host.
    [[nodiscard]] bool same_boot() const;

    /// The header as it stood when this process made or attached the segment, and was right. What
    /// happens to the shared one afterwards leads nobody anywhere.
    [[nodiscard]] const SegmentHeader& header() const noexcept {
        return *reinterpret_cast<const SegmentHeader*>(found_.data());
    }
    /// The one in the mapping, at its first byte: for tests that damage it, and for who asks the
    /// kernel about the pages. Nobody goes by what it says.
    [[nodiscard]] SegmentHeader& shared_header() const noexcept { return *shared_; }
    [[nodiscard]] CoreCells& core() const noexcept;
    [[nodiscard]] Doorbell& doorbell(StageId stage) const noexcept;
    [[nodiscard]] Doorbell& doorbell(std::uint32_t index) const noexcept;
    [[nodiscard]] StageEntry& stage(StageId stage) const noexcept;
    [[nodiscard]] SessionEntry& session(AccountId account) const noexcept;
    [[nodiscard]] std::uint32_t sessions() const noexcept { return header().session_count; }
    [[nodiscard]] NameTables& names() const noexcept;
    [[nodiscard]] TickCell& tick(SymbolId symbol) const noexcept;
    [[nodiscard]] Histogram& hop(Hop hop) const noexcept;
    [[nodiscard]] HashCheck& hash_check(std::uint32_t i) const noexcept;
    [[nodiscard]] ErrorEntry& error(std::uint32_t i) const noexcept;
    [[nodiscard]] Clock clock() const noexcept { return Clock{header().clock_anchor_ns}; }
    [[nodiscard]] std::uint64_t uuid_low() const noexcept { return header().uuid[0]; }

    [[nodiscard]] std::uint32_t ring_count() const noexcept {
        return static_cast<std::uint32_t>(rings_.size());
    }
    /// As it stood when this process attached.
    [[nodiscard]] const RingEntry& ring_entry(std::uint32_t index) const noexcept;
    /// Index of the ring called `name`, kNoId if there is none.
    [[nodiscard]] std::uint32_t find_ring(std::string_view name) const noexcept;
    [[nodiscard]] RingControl<>& ring_control(std::uint32_t index) const noexcept;
    /// The ring as payload type T; the caller names the type that the entry's kind stands for.
    template <class T>
    [[nodiscard]] RingView<T> ring(std::uint32_t index) const noexcept {
        const RingEntry& entry = ring_entry(index);
        ASSERT(entry.slot_bytes == sizeof(RingSlot<T>));
        return {&ring_control(index), reinterpret_cast<RingSlot<T>*>(at(entry.slots_offset))};
    }
    template <class T>
    [[nodiscard]] RingView<T> ring(std::string_view name) const noexcept {
        const std::uint32_t index = find_ring(name);
        ASSERT(index != kNoId);
        return ring<T>(index);
    }

    /// Counts an error in the distinct-error log (any thread, any process; no allocation).
    void report_error(std::string_view stage, std::string_view text) const noexcept;

private:
    /// The body of create(), which removes the file if this fails.
    static Result<Segment> fill(const SegmentPlan& plan, const struct SegmentShape& shape, int fd,
                                std::string& message);
    [[nodiscard]] std::byte* at(std::uint64_t offset) const noexcept;
    void remember();

    std::unique_ptr<boost::interprocess::mapped_region> region_;
    std::string path_;
    SegmentHeader* shared_ = nullptr;
    // Copied once attaching has found them right, and what is gone by from then on
    // (tests/attach_fuzz): the header, as bytes because it holds an atomic and this class is moved,
    // and the directory of rings.
    alignas(SegmentHeader) std::array<std::byte, sizeof(SegmentHeader)> found_{};
    std::vector<RingEntry> rings_;
    bool locked_ = false;
};

/// Copies text into a fixed field, cut to fit, rest zero.
template <std::size_t N>
[[nodiscard]] Text<N> make_text(std::string_view s) noexcept {
    Text<N> t;
    const std::size_t n = s.size() < N ? s.size() : N;
    for (std::size_t i = 0; i < n; ++i) {
        t.bytes[i] = s[i];
    }
    return t;
}
template <std::size_t N>
[[nodiscard]] std::string_view view(const Text<N>& t) noexcept {
    std::size_t n = 0;
    while (n < N && t.bytes[n] != '\0') {
        ++n;
    }
    return {t.bytes, n};
}

}  // namespace millrace
