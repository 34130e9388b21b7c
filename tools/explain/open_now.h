// What is open now: positions, orders and accounts, from the logs by the engine itself, else from
// the store.
#pragma once

#include "persist/book_check.h"
#include "persist/journal_reader.h"
#include "tools/explain/state.h"
#include "tools/explain/where.h"
#include "tools/millrace/preferences.h"

#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace millrace::explain {

enum class OpenOf : std::uint8_t { Positions, Orders, Accounts };

/// Rows with a name for each column. Texts, and whole numbers for ids, tickets and counts; exact
/// decimals are texts.
struct Sheet {
    using Cell = std::variant<std::int64_t, std::string>;
    std::vector<std::string> columns;
    std::vector<std::vector<Cell>> rows;
    std::vector<bool> doubted;  // of each row
    Sequence seq;               // the last record that it takes in
    Nanos time;                 // of that record
    std::string from;           // "logs" or "store"
    /// Positions: what brokers have otherwise, as the replica found it last.
    std::vector<ToldDifference> differences;
};

/// The engine's state at the end of the log, kept up with it.
class OpenNow {
public:
    /// @return nullptr: `message` says why the logs give no state.
    static std::unique_ptr<OpenNow> open(const Where& where, std::string& message);
    /// Takes in what was journalled since. @return false: `message` has what is damaged.
    [[nodiscard]] bool advance(std::string& message);
    /// @param account only of this one; kNoId = all. @param now for the ages.
    [[nodiscard]] Sheet sheet(OpenOf of, AccountId account, Nanos now) const;

private:
    explicit OpenNow(const Where& where) : where_{&where}, source_{where.dir} {}
    [[nodiscard]] ReadStatus next();

    const Where* where_;
    DirectorySource source_;
    std::unique_ptr<LogState> state_;
    std::unique_ptr<JournalReader> reader_;
};

/// The same from the SQLite store. @return false: `message` says why not.
[[nodiscard]] bool sheet_of_store(const Where& where, OpenOf of, AccountId account, Sheet& sheet,
                                  std::string& message);

/// An aligned table of at most `width` columns; rows in doubt are marked `!`.
/// @param display as many digits as somebody wants; JSON has all there are.
[[nodiscard]] std::string sheet_text(const Sheet& sheet, OpenOf of, std::size_t width,
                                     const DisplayPreferences& display = {});
/// explain.schema.json
[[nodiscard]] std::string sheet_json(const Sheet& sheet, OpenOf of);

}  // namespace millrace::explain
