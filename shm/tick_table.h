// TickTable: the latest quote of every symbol that terminals stream, in a file of its own in
// shared memory. One writer (millrace-ticks), any readers, who never make it wait.
//
//     | header, 4096 bytes | TickRow 0 | TickRow 1 | ... capacity |
//
// Rows are only ever added, and keep their place for the life of the file; a writer that died is
// succeeded in the same file, so readers go on where they are.
#pragma once

#include "core/result.h"
#include "shm/tick_cell.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace millrace {

inline constexpr std::uint64_t kTickTableMagic = 0x314C42544B49544DULL;  // "MTIKTBL1"
inline constexpr std::uint32_t kTickTableVersion = 1;
inline constexpr std::uint32_t kTickRowsMax = 65'536;

struct TickTableHeader {
    std::atomic<std::uint64_t> magic;  // written last
    std::uint32_t version;
    std::uint32_t capacity;
    std::uint64_t total_bytes;
    std::atomic<std::uint32_t> rows;  // of them are in use
    std::atomic<std::uint32_t> writer_pid;
    std::atomic<std::int64_t> alive_ns;  // the writer was in its duty cycle, by its clock: UTC when
                                         // it was started, which never steps
    std::atomic<std::int64_t> anchor_ns;  // that clock less CLOCK_MONOTONIC; 0 = an older build
};
static_assert(sizeof(TickTableHeader) == 48);

/// One symbol. `ready` is released after the name.
struct alignas(64) TickRow {
    Text<16> name;
    std::atomic<std::uint32_t> ready;
    std::uint32_t reserved;
    std::atomic<std::uint64_t> feed;      // login of the account whose terminal tells it now
    std::atomic<std::uint64_t> updates;   // quotes stored
    std::atomic<std::int64_t> source_ns;  // the source's time of the last one; relaxed: for people
    TickCell cell;  // time: when it reached this host, UTC; of one told again, the source's
};
static_assert(sizeof(TickRow) == 128 && offsetof(TickRow, cell) == 64);

/// The mapping that both ends share. Move-only.
class TickTableMap {
public:
    TickTableMap() = default;
    ~TickTableMap();
    TickTableMap(TickTableMap&& other) noexcept
        : at_{std::exchange(other.at_, nullptr)}, bytes_{std::exchange(other.bytes_, 0)} {}
    TickTableMap& operator=(TickTableMap&& other) noexcept {
        std::swap(at_, other.at_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }

    /// Maps the file, makes it if it is not there. Only the one writer: nothing here keeps a second
    /// one away. One of another size or version, damaged, or that others may write to, is
    /// replaced: readers attach again.
    /// @return NoSpace (/dev/shm is full), IoError with errno (EPERM: another user's, and it
    /// cannot be replaced), BadInput (capacity).
    static Result<TickTableMap> create(const std::string& path, std::uint32_t capacity);
    /// Maps an existing one read-only.
    /// @return NotFound, BadMagic, BadVersion, BadLayout, IoError; NotOwner: another user made it,
    /// or others may write to it: who does could tell any price.
    static Result<TickTableMap> attach(const std::string& path);

    [[nodiscard]] TickTableHeader& header() const noexcept {
        return *static_cast<TickTableHeader*>(at_);
    }
    [[nodiscard]] TickRow& row(std::uint32_t i) const noexcept;
    /// By the file's size: a header that is damaged later leads nobody out of the mapping.
    [[nodiscard]] std::uint32_t capacity() const noexcept;

private:
    TickTableMap(void* at, std::size_t bytes) : at_{at}, bytes_{bytes} {}
    void* at_ = nullptr;
    std::size_t bytes_ = 0;
};

/// The writing end. Threads: the one writer.
class TickTableWriter {
public:
    explicit TickTableWriter(TickTableMap map) noexcept;

    /// The row of `symbol`, a new one if there is none. Startup of a feed: may allocate.
    /// @return nothing if the table is full.
    [[nodiscard]] std::optional<std::uint32_t> row_of(const Text<16>& symbol) noexcept;
    /// Wait-free. No allocation, no syscall.
    void store(std::uint32_t row, const Quote& quote, Nanos source) noexcept;
    /// From which account's terminal the row's quotes come from now on.
    void set_feed(std::uint32_t row, std::uint64_t login) noexcept;
    /// Once per duty cycle.
    void alive(Nanos now) noexcept;
    [[nodiscard]] const TickTableMap& map() const noexcept { return map_; }

private:
    TickTableMap map_;
    std::map<Text<16>, std::uint32_t> rows_;
};

/// The reading end. Threads: any; wait-free after open().
class TickTableReader {
public:
    TickTableReader() = default;
    explicit TickTableReader(TickTableMap map) noexcept : map_{std::move(map)} {}

    /// The row of `symbol`; it never changes. @return nothing if no terminal has streamed it yet.
    [[nodiscard]] std::optional<std::uint32_t> find(std::string_view symbol) const noexcept;
    /// bid 0 (NO_PRICE): none yet, or being written just now (three tries).
    [[nodiscard]] Quote latest(std::uint32_t row) const noexcept {
        return map_.row(row).cell.load();
    }
    [[nodiscard]] std::uint32_t rows() const noexcept;
    [[nodiscard]] const TickRow& row(std::uint32_t i) const noexcept { return map_.row(i); }
    /// When the writer last said that it lives, UTC.
    [[nodiscard]] Nanos alive() const noexcept;
    /// Now by the writer's clock: what ages of quotes and its silence are measured by, whatever
    /// the wall clock does meanwhile.
    [[nodiscard]] Nanos now() const noexcept;

private:
    TickTableMap map_;
};

/// Where the table of the pipeline `name` lies. (Not millrace-*: those are segments.)
[[nodiscard]] inline std::string tick_table_path(const std::string& name) {
    return "/dev/shm/mrticks-" + name;
}

}  // namespace millrace
