// Places to restore a backup into, gone with their object. Internal to credential backups.
#pragma once

#include "persist/credential_store.h"

#include <string>
#include <string_view>
#include <vector>

namespace millrace {

inline constexpr std::string_view kScratchFolder = "scratch-";  // how their names begin

/// A folder of mode 0700 inside `parent`.
class ScratchFolder {
public:
    explicit ScratchFolder(const std::string& parent);
    ~ScratchFolder();
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

/// A database of its own on the same PostgreSQL server, dropped at the end; if this process is
/// killed before, by the next make() on that server once it is an hour old.
class ScratchDatabase {
public:
    ScratchDatabase() = default;
    ~ScratchDatabase();
    ScratchDatabase(const ScratchDatabase&) = delete;
    ScratchDatabase& operator=(const ScratchDatabase&) = delete;

    /// @return NotOwner: the user may not make one (ALTER ROLE ... CREATEDB); IoError.
    [[nodiscard]] Status make(const PostgresPlace& server);
    [[nodiscard]] const PostgresPlace& place() const noexcept { return place_; }
    [[nodiscard]] const std::string& message() const noexcept { return message_; }

private:
    [[nodiscard]] Status run(const std::string& sql, std::vector<std::string>* first_column);
    void drop_leftovers();
    PostgresPlace server_;
    PostgresPlace place_;
    std::string name_;  // empty: none was made
    std::string message_;
};

}  // namespace millrace
