// Compares the rows of the SQLite store with what the effects log says of them. SQLite keeps no
// checksums: a bit that flips in a value of a sound row is found by nothing else, and gets into
// every backup.
#pragma once

#include "core/effect.h"
#include "persist/effect_source.h"
#include "persist/last_of_row.h"
#include "persist/sqlite_db.h"
#include "persist/sqlite_rows.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace millrace {

struct SqliteAuditFindings {
    /// Beyond so many wrong rows the file is as good as lost.
    static constexpr std::size_t kWrongMax = 10'000;

    Sequence upto;           // record that the store had come to
    std::uint64_t rows = 0;  // that are as the log says
    /// What the log says of rows that are missing, or not that; in its order.
    std::vector<Effect> wrong{};
    /// Rows, as they are there, that the log does not know: their key is another one's.
    std::vector<Effect> extra{};
    std::string first{};  // of all these, for people

    [[nodiscard]] bool clean() const noexcept { return wrong.empty() && extra.empty(); }
};

/// Every row that the log still has an effect of: its values, and how they are stored. A slice at a
/// time, each in a reader's transaction of its own: checkpoints of the store wait for one slice at
/// the most. Rows that only older effects wrote are not looked at. Holds 8 bytes a row in memory.
/// Threads: one.
class SqliteAudit {
public:
    /// @param log a reader of its own. @param stop gives up soon after it turns true, or nullptr.
    SqliteAudit(std::string path, std::unique_ptr<EffectSource> log, const std::atomic<bool>* stop);

    /// As of where the store is now.
    /// @return NotFound, BadChain, TornTail: it does not follow this log, or is ahead of it;
    /// BadChecksum: damaged; IoError: so is the log; Busy.
    [[nodiscard]] Status begin() noexcept;
    /// The next 20,000 effects, or at the end a table. @return whether there is more. BadChecksum
    /// also for more wrong rows than kWrongMax; Timeout: given up; else as begin().
    [[nodiscard]] Result<bool> step() noexcept;
    [[nodiscard]] SqliteAuditFindings& findings() noexcept { return found_; }

private:
    [[nodiscard]] Status read_window();
    [[nodiscard]] Status compare(const Effect& effect);
    [[nodiscard]] Status settle_newer();
    [[nodiscard]] Status look_for_extra(EffectKind kind);
    [[nodiscard]] Result<std::optional<StoredRow>> row_of(const Effect& effect);
    void wrong(const Effect& effect, const char* how);
    void tell(const Effect& effect, const char* how);
    [[nodiscard]] bool stopped() const noexcept;

    std::string path_;
    std::unique_ptr<EffectSource> log_;
    const std::atomic<bool>* stop_;
    // In this order: statements end before their connection does.
    SqliteDb db_;
    std::array<SqliteStatement, 8> selects_;  // by EffectKind, which is 1..7
    LastOfRow last_;
    std::vector<Effect> window_;
    bool read_all_ = false;  // of the log, up to where the store was
    unsigned next_kind_ = 1;
    std::uint64_t from_ = UINT64_MAX;   // first record that the log has
    std::vector<std::uint64_t> known_;  // hashes of effects that a row is of
    SqliteAuditFindings found_;
    /// By key: the last effect seen of rows that say that a later one wrote them.
    std::unordered_map<std::string, Effect> newer_;
};

/// All of it at once.
[[nodiscard]] Result<SqliteAuditFindings> audit_sqlite(const std::string& path,
                                                       std::unique_ptr<EffectSource> log);

}  // namespace millrace
