// LogSource: where a JournalReader gets bytes from: a directory, or memory in tests. list_log()
// says for each file whether it is in use.
#pragma once

#include "core/result.h"
#include "persist/journal_format.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace millrace {

struct CoreCells;  // shm/layout.h

class LogSource {
public:
    virtual ~LogSource() = default;
    /// Names of all journal files, sorted.
    [[nodiscard]] virtual Result<std::vector<JournalFileName>> list() noexcept = 0;
    /// Reads at `offset`. @return bytes read, fewer than asked only at the end of the file.
    [[nodiscard]] virtual Result<std::size_t> read(const JournalFileName& file,
                                                   std::uint64_t offset,
                                                   std::span<std::byte> out) noexcept = 0;
    /// The directory, for messages.
    [[nodiscard]] virtual const std::string& where() const noexcept = 0;
    /// Where `file`, as list() named it last, lies.
    [[nodiscard]] virtual std::string path_of(const JournalFileName& file) const {
        return where() + "/" + file.text().data();
    }
};

/// A journal directory, with the second one that it names (second_directory.h): list() fails if
/// that one is not there, or another log's. In a segment that lives it does without one that is
/// not there, or cannot be read, as far as the first one shows by itself that it lacks nothing: a
/// disk that nobody uses must not stop a pipeline. Buffered reads: coherent with O_DIRECT writes on
/// a local file system. Keeps the file read last open. Threads: one.
class DirectorySource final : public LogSource {
public:
    /// FirstAlone: for those who know that what they want is not in the second one.
    enum class Places : std::uint8_t { Both, FirstAlone };

    /// @param core of the segment that the log belongs to; nullptr: nobody knows. Outlives this.
    explicit DirectorySource(std::string directory, Places places = Places::Both,
                             const CoreCells* core = nullptr) noexcept;
    ~DirectorySource() override;
    DirectorySource(const DirectorySource&) = delete;
    DirectorySource& operator=(const DirectorySource&) = delete;

    [[nodiscard]] Result<std::vector<JournalFileName>> list() noexcept override;
    [[nodiscard]] Result<std::size_t> read(const JournalFileName& file, std::uint64_t offset,
                                           std::span<std::byte> out) noexcept override;
    [[nodiscard]] const std::string& where() const noexcept override { return directory_; }
    [[nodiscard]] std::string path_of(const JournalFileName& file) const override;
    /// Whether `file` lies in the second directory, by the last list().
    [[nodiscard]] bool in_second(const JournalFileName& file) const noexcept;

    /// Flushes every journal file and the directories, and drops clean pages, so that what is read
    /// afterwards is what is on the disk (a page cache may keep what a failed flush lost).
    [[nodiscard]] Status settle() noexcept;

private:
    [[nodiscard]] Result<std::vector<JournalFileName>> without_second(
        const std::vector<JournalFileName>& first, const Error& why) noexcept;
    [[nodiscard]] Status add_second(std::vector<JournalFileName>& names) noexcept;

    std::string directory_;
    Places places_;
    const CoreCells* core_;
    std::string second_;                      // as list() found it; empty = none
    std::vector<JournalFileName> in_second_;  // sorted
    JournalFileName open_name_;
    int fd_ = -1;
};

enum class LogFileUse : std::uint8_t {
    Used,    // valid header
    Unused,  // prepared, but nothing was ever acknowledged from it
    Bad,     // holds group commits but no readable header, or another version
};
struct LogFile {
    JournalFileName name;
    LogFileUse use = LogFileUse::Unused;
    JournalFileHeader header;
    Error why;  // Bad
};

/// All files of `source` with their headers. IoError names nothing finer than the directory.
[[nodiscard]] Result<std::vector<LogFile>> list_log(LogSource& source) noexcept;

}  // namespace millrace
