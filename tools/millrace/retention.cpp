#include "tools/millrace/retention.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "persist/effects_log.h"
#include "persist/journal_format.h"
#include "persist/snapshot_file.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

struct LogFile {
    std::string path;
    std::uint64_t first_seq = 0;  // 0: prepared and not begun, or unreadable
    std::uint64_t bytes = 0;
};

template <class Header>
std::uint64_t first_seq_of(const std::string& path, std::uint64_t magic) {
    Header header;
    std::ifstream in{path, std::ios::binary};
    in.read(reinterpret_cast<char*>(&header), sizeof header);
    return in && header.magic == magic ? header.first_seq : 0;
}

/// Files of one log, oldest first: both kinds of name sort by age.
std::vector<LogFile> files_of(const std::string& dir, std::string_view suffix,
                              std::string& trouble) {
    std::vector<LogFile> files;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator{dir, error}) {
        const std::string path = entry.path().string();
        if (!path.ends_with(suffix)) {
            continue;
        }
        const std::uint64_t first = suffix == ".mrj"
                                        ? first_seq_of<JournalFileHeader>(path, kJournalMagic)
                                        : first_seq_of<EffectsHeader>(path, kEffectsMagic);
        std::error_code gone;
        const std::uint64_t bytes = entry.file_size(gone);
        files.push_back({path, first, gone ? 0 : bytes});
    }
    trouble = error ? "cannot list " + dir + ": " + error.message() : trouble;
    std::sort(files.begin(), files.end(),
              [](const LogFile& a, const LogFile& b) { return a.path < b.path; });
    return files;
}

/// Removes from the front while there are too many bytes and the next file begins at or before
/// `needed_from`. @return files removed.
std::uint32_t remove_oldest(std::vector<LogFile>& files, std::uint64_t bytes_max,
                            Sequence needed_from, std::string& trouble) {
    std::uint64_t total = 0;
    for (const LogFile& f : files) {
        total += f.bytes;
    }
    std::size_t gone = 0;
    while (gone + 1 < files.size() && total > bytes_max && files[gone + 1].first_seq != 0 &&
           files[gone + 1].first_seq <= needed_from.value) {
        std::error_code error;
        fs::remove(files[gone].path, error);
        if (error) {
            trouble = "cannot remove " + files[gone].path + ": " + error.message();
            break;
        }
        total -= files[gone].bytes;
        ++gone;
    }
    files.erase(files.begin(), files.begin() + static_cast<std::ptrdiff_t>(gone));
    return static_cast<std::uint32_t>(gone);
}

}  // namespace

Retained prune(const std::string& journal_dir, const RetentionLimits& limits) {
    Retained done;
    const auto snapshots = list_snapshots(journal_dir);
    if (!snapshots || snapshots.value().empty()) {
        done.trouble = snapshots ? "" : "cannot list the snapshots in " + journal_dir;
        return done;  // without a snapshot every record is needed
    }
    const Sequence oldest{snapshots.value().front().value + 1};
    auto journal = files_of(journal_dir, ".mrj", done.trouble);
    done.journal_files = remove_oldest(journal, limits.bytes_max, oldest, done.trouble);
    auto effects = files_of(journal_dir, ".mre", done.trouble);
    done.effects_files = remove_oldest(effects, limits.bytes_max, limits.stored, done.trouble);
    const std::uint32_t unstored =
        remove_oldest(effects, 2 * limits.bytes_max, Sequence{~std::uint64_t{0}}, done.trouble);
    done.effects_files += unstored;
    done.store_cut_off = unstored > 0;
    return done;
}

}  // namespace millrace
