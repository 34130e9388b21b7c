// ClickHouseStore: the table that effects become rows of, and the cursor that says how far it came.
//
// A batch and the row that carries the cursor behind it are one INSERT into one partition: stored
// whole or not at all. So the cursor read back from the server tells what happened to a batch whose
// answer was lost; a batch that the server stores after all, later, is the same rows under the same
// key and counts once (ReplacingMergeTree, and a token where the server knows such tokens).
#pragma once

#include "persist/clickhouse_http.h"
#include "persist/clickhouse_rows.h"

#include <span>
#include <string>
#include <vector>

namespace millrace {

struct ClickHouseStoreOptions {
    ClickHouseServer server;
    std::string database = "millrace";  // letters, digits and _
    bool make = true;            // make what is missing of database, table, columns and views
    std::uint32_t instance = 0;  // of the journal directory that is followed; 0 = not known
};
/// How far what the server holds has come.
struct ClickHousePlace {
    ClickHouseHistory history = 1;
    EffectCursor cursor;
    friend bool operator==(const ClickHousePlace&, const ClickHousePlace&) = default;
};

class ClickHouseStore {
public:
    explicit ClickHouseStore(ClickHouseStoreOptions options);

    /// Asks for the version, makes what is missing (see options), and reads the place. What is
    /// there already needs no right to make it.
    /// @return as ClickHouseHttp::query(); BadMagic: the table is not ours.
    [[nodiscard]] Status open() noexcept;
    void close() noexcept { open_ = false; }
    [[nodiscard]] bool is_open() const noexcept { return open_; }

    /// Goes on from `place` instead of the one that open() read: a history that begins, or records
    /// without effects behind the last batch, neither of which is on the server yet.
    void resume(const ClickHousePlace& place) noexcept { place_ = place; }

    /// Stores `effects`, which end at `cursor`, in the history of place().
    /// @return as ClickHouseHttp::insert(); after a failure open() again and believe the cursor.
    [[nodiscard]] Status store(std::span<const Effect> effects,
                               const EffectCursor& cursor) noexcept;
    /// Stores single rows again, or that were missing; moves no cursor.
    [[nodiscard]] Status mend(std::span<const Effect> effects) noexcept;

    [[nodiscard]] Result<std::string> query(const std::string& sql) noexcept;

    [[nodiscard]] const ClickHousePlace& place() const noexcept { return place_; }
    /// As read beside the cursor.
    [[nodiscard]] const ClickHouseFacts& facts() const noexcept { return facts_; }
    /// Whether the history that is written holds everything since its log began.
    void set_whole(bool whole) noexcept { facts_.whole = whole; }
    [[nodiscard]] const EffectCursor& cursor() const noexcept { return place_.cursor; }
    [[nodiscard]] const std::string& version() const noexcept { return version_; }
    /// Whether the server drops an INSERT whose token it has seen.
    [[nodiscard]] bool has_tokens() const noexcept { return tokens_; }
    [[nodiscard]] std::string table() const;
    [[nodiscard]] const std::string& message() const noexcept { return message_; }
    [[nodiscard]] const ClickHouseStoreOptions& options() const noexcept { return options_; }

private:
    [[nodiscard]] Status read_version() noexcept;
    [[nodiscard]] Status make_database() noexcept;
    [[nodiscard]] Status make_table() noexcept;
    [[nodiscard]] Status add_columns() noexcept;
    [[nodiscard]] Status make_views() noexcept;
    [[nodiscard]] Status read_place() noexcept;
    [[nodiscard]] Result<std::vector<std::string>> newest_mark() noexcept;
    [[nodiscard]] Result<std::vector<std::string>> lines(const std::string& sql) noexcept;
    [[nodiscard]] Status insert(const std::string& token) noexcept;
    Status failed(const char* doing, const Status& status) noexcept;

    ClickHouseStoreOptions options_;
    ClickHouseHttp http_;
    std::vector<std::byte> rows_;
    ClickHousePlace place_;
    ClickHouseFacts facts_;
    std::string version_;
    bool tokens_ = false;
    bool open_ = false;
    bool made_ = false;  // this process has seen the schema complete
    std::string message_;
};

}  // namespace millrace
