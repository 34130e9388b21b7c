// ClickHouseVerify: whether ClickHouse holds what the SQLite store holds, by counts and checksums.
//
// SQLite has the newest row of each thing; ClickHouse has every change. Compared is, as of the
// record up to which SQLite had come when it began, the newest row of each thing: count and sum of
// row hashes by ranges of journal records, then row by row in the ranges that differ.
#pragma once

#include "persist/clickhouse_store.h"
#include "persist/sqlite_db.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace millrace {

struct ClickHouseFindings {
    std::uint64_t upto = 0;    // journal record as of which it was compared
    std::uint64_t rows = 0;    // of SQLite
    std::uint64_t ranges = 0;  // that differed
    std::uint64_t missing = 0;
    std::uint64_t changed = 0;  // same effect, other content
    std::uint64_t extra = 0;    // only in ClickHouse: SQLite was rebuilt from a shorter log
    std::uint64_t mended = 0;
    std::string first;  // difference, for messages
    [[nodiscard]] bool clean() const noexcept { return missing + changed == 0; }
};

class ClickHouseVerify {
public:
    static constexpr std::uint64_t kRangeRecords = 65'536;
    static constexpr std::size_t kRangesMax = 64;  // looked into row by row, of each kind

    /// @param store open; outlives this. @param mend store again what is missing or changed.
    ClickHouseVerify(ClickHouseStore& store, std::string sqlite_path, bool mend);

    /// Takes SQLite's state as of now. Blocks checkpoints of its file until the end.
    /// @return Busy: ClickHouse has not come as far, or SQLite is locked: try again; NotFound: no
    /// SQLite store; BadChain: the two follow different logs; others of SQLite.
    [[nodiscard]] Status begin() noexcept;
    /// Compares the next kind of rows. Blocks for as long as both take to read it.
    /// @return whether more is to be done; after a failure nothing is known.
    [[nodiscard]] Result<bool> step() noexcept;

    [[nodiscard]] const ClickHouseFindings& findings() const noexcept { return findings_; }
    [[nodiscard]] const std::string& message() const noexcept { return message_; }

private:
    struct Sum {
        std::uint64_t rows = 0;
        std::uint64_t hash = 0;  // sum, modulo 2^64
        friend bool operator==(const Sum&, const Sum&) = default;
    };
    using Ranges = std::map<std::uint64_t, Sum>;
    using Id = std::pair<std::uint64_t, std::uint32_t>;  // seq, k

    [[nodiscard]] Result<Ranges> sqlite_ranges(EffectKind kind) noexcept;
    [[nodiscard]] Result<Ranges> clickhouse_ranges(EffectKind kind) noexcept;
    [[nodiscard]] Result<std::map<Id, std::uint64_t>> clickhouse_rows(EffectKind kind,
                                                                      std::uint64_t range) noexcept;
    [[nodiscard]] Status look_into(EffectKind kind, std::uint64_t range) noexcept;
    [[nodiscard]] std::string newest(EffectKind kind) const;
    void differs(const char* how, const Effect& effect) noexcept;
    Status failed(const char* doing, const Status& status, const std::string& said) noexcept;

    ClickHouseStore& store_;
    std::string path_;
    bool mend_;
    SqliteDb db_;
    unsigned next_kind_ = 1;
    ClickHouseFindings findings_;
    std::string message_;
};

}  // namespace millrace
