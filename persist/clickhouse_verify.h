// ClickHouseVerify: whether ClickHouse holds what the SQLite store holds, by counts and checksums.
//
// SQLite has the newest row of each thing; ClickHouse has every change. Compared is, as of the
// record up to which SQLite had come when it began, the newest row of each thing: count and sum of
// row hashes by ranges of journal records, then row by row in the ranges that differ.
//
// What ClickHouse lacks is taken from the effects log or, where that has lost it, from SQLite.
// Where both have a row and differ, neither is believed: a flipped bit in a value of SQLite's may
// have been found by nobody yet. The log says which is wrong; where it has the row no more, both
// stay as they are.
#pragma once

#include "persist/clickhouse_store.h"
#include "persist/effect_source.h"
#include "persist/sqlite_db.h"

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace millrace {

struct ClickHouseFindings {
    std::uint64_t upto = 0;     // journal record as of which it was compared
    bool sqlite_whole = false;  // SQLite lacks nothing since its log began
    std::uint64_t rows = 0;     // of SQLite
    std::uint64_t ranges = 0;   // that differed
    std::uint64_t missing = 0;
    std::uint64_t changed = 0;  // same effect, other content
    std::uint64_t extra = 0;    // only in ClickHouse: SQLite was rebuilt from a shorter log
    std::uint64_t mended = 0;
    /// Of those changed or missing: the log says otherwise, or a value is stored as what it is not.
    std::uint64_t sqlite_wrong = 0;
    std::uint64_t undecided = 0;  // of those changed: the log has them no more
    std::string first;            // difference, for messages
    [[nodiscard]] bool clean() const noexcept { return missing + changed == 0; }
};

/// Of an effect: its record, and which of that record's.
using EffectAt = std::pair<std::uint64_t, std::uint32_t>;
struct LogAnswer {
    std::uint64_t from = UINT64_MAX;  // first record that the log still has; MAX: it cannot be read
    std::vector<Effect> effects{};
};
/// The effects of these ids, as far as the log still has them.
using AskLog = std::function<LogAnswer(const std::set<EffectAt>&)>;
/// That of the log that `source` reads, from its beginning to the last of `ids`.
[[nodiscard]] LogAnswer effects_in(EffectSource& source, const std::set<EffectAt>& ids);

class ClickHouseVerify {
public:
    static constexpr std::uint64_t kRangeRecords = 65'536;
    static constexpr std::size_t kRangesMax = 64;       // looked into row by row, of each kind
    static constexpr std::size_t kChangedMax = 4096;    // rows that the log is asked about; and
    static constexpr std::size_t kMissingMax = 65'536;  // missing ones: the next time for the rest

    /// @param store open; outlives this. @param mend store again what is missing, and what was
    /// changed there by the word of `ask_log`; without one nothing that is there is overwritten.
    ClickHouseVerify(ClickHouseStore& store, std::string sqlite_path, bool mend,
                     AskLog ask_log = {});

    /// Takes SQLite's state as of now. Blocks checkpoints of its file until the end.
    /// @return Busy: ClickHouse has not come as far, or SQLite is locked: try again; NotFound: no
    /// SQLite store; BadChain: the two follow different logs; others of SQLite.
    [[nodiscard]] Status begin() noexcept;
    /// Compares the next kind of rows. Blocks for as long as both take to read it; the last one, if
    /// rows differ, for as long as the log takes too.
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
    using Id = EffectAt;

    [[nodiscard]] Result<Ranges> sqlite_ranges(EffectKind kind) noexcept;
    [[nodiscard]] Result<Ranges> clickhouse_ranges(EffectKind kind) noexcept;
    [[nodiscard]] Result<std::map<Id, std::uint64_t>> clickhouse_rows(EffectKind kind,
                                                                      std::uint64_t range) noexcept;
    [[nodiscard]] Status look_into(EffectKind kind, std::uint64_t range) noexcept;
    [[nodiscard]] std::string newest(EffectKind kind) const;
    [[nodiscard]] Status settle() noexcept;
    void differs(const char* how, const Effect& effect) noexcept;
    Status failed(const char* doing, const Status& status, const std::string& said) noexcept;

    ClickHouseStore& store_;
    std::string path_;
    bool mend_;
    AskLog ask_log_;
    std::uint64_t log_from_ = UINT64_MAX;  // what is younger the log knows
    std::map<Id, std::uint64_t> changed_;  // the row's hash in ClickHouse
    std::uint64_t changed_in_both_ = 0;    // as many as that, but for kChangedMax
    std::uint64_t not_as_put_ = 0;         // rows that SQLite does not hold as they were written
    std::vector<Effect> missing_;          // there, by SQLite, and the log must have them
    SqliteDb db_;
    unsigned next_kind_ = 1;
    ClickHouseFindings findings_;
    std::string message_;
};

}  // namespace millrace
