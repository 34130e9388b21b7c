#include "tools/millrace/recover_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <utility>
#include <vector>

#include "persist/file_preparer.h"
#include "persist/journal_format.h"
#include "persist/snapshot_file.h"
#include "shm/clock.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMaking = ".recovering";
constexpr const char* kReservation = "reservation";

Status fail(std::string& message, std::string text) {
    message = std::move(text);
    return {Errc::IoError, "recover"};
}

/// A file with a header and nothing behind it: the epoch that the log goes on from.
Status write_first_file(const std::string& dir, const LogCursor& at) {
    JournalFileHeader header;
    header.epoch = at.epoch;
    header.first_seq = at.seq.value + 1;
    header.previous_chain = at.chain;
    header.segment_bytes = 2 * kBlockBytes;
    header.created_ns = wall_ns();
    std::array<std::byte, 2 * kBlockBytes> bytes{};
    encode_header(header, std::span{bytes}.first(kBlockBytes));
    const std::string path = dir + "/" + JournalFileName{at.epoch, 0}.text().data();
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const bool written =
        fd >= 0 && ::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
        ::fsync(fd) == 0;
    const int why = errno;
    if (fd >= 0) {
        ::close(fd);
    }
    return written ? sync_directory(dir)
                   : Status{Errc::IoError, "the first journal file cannot be written", why};
}

/// In which order the directory gets its files.
int place_of(const fs::path& file) {
    return file.extension() == ".mrj" ? 0 : file.filename() == kReservation ? 2 : 1;
}

bool is_of_journal(const fs::path& file) {
    const std::string kind = file.extension().string();
    return kind == ".mrj" || kind == ".mrs" || kind == ".mre" || file.filename() == kReservation;
}

/// All was made and some of it may have been moved; the reservation, which is the last, was not.
bool was_killed_while_moving(const fs::path& dir) {
    std::error_code error;
    return fs::exists(dir / kMaking / kReservation, error) &&
           !fs::exists(dir / kReservation, error);
}

}  // namespace

RecoverFiles::RecoverFiles(const std::string& dir)
    : dir_{dir}, making_{(fs::path{dir} / kMaking).string()} {}

Status RecoverFiles::begin(std::string& message) {
    std::error_code error;
    fs::create_directories(dir_, error);
    if (!error && was_killed_while_moving(dir_)) {
        for (const auto& entry : fs::directory_iterator{dir_, error}) {
            if (is_of_journal(entry.path())) {
                fs::remove(entry.path(), error);
            }
        }
    }
    fs::remove_all(making_, error);
    fs::create_directory(making_, error);
    return error ? fail(message, dir_ + ": " + error.message()) : ok_status();
}

Result<EffectsWriter> RecoverFiles::effects(const LogCursor& before, std::string& message) {
    auto writer = EffectsWriter::open(making_, {}, message);
    if (!writer) {
        return writer.error();
    }
    if (auto begun = writer.value().begin_anew(before, true); !begun) {
        return begun.error();
    }
    return writer;
}

Status RecoverFiles::write(Engine& engine, const LogCursor& at, const IdBook& ids,
                           const Reserved& reserved, std::string& message) {
    std::vector<std::byte> image;
    engine.save(image);
    Status done = write_snapshot(making_, at, image, message, EffectsMark{at.seq, at.chain});
    done = done ? ids.save(making_, message) : done;
    done = done ? write_first_file(making_, at) : done;
    return done ? Reservation::succeed(making_, reserved, message) : done;
}

Status RecoverFiles::move_into_place(std::string& message) {
    std::vector<fs::path> files;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator{making_, error}) {
        files.push_back(entry.path());
    }
    if (error) {
        return fail(message, making_ + ": " + error.message());
    }
    std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
        return std::pair{place_of(a), a} < std::pair{place_of(b), b};
    });
    for (const fs::path& file : files) {
        fs::rename(file, fs::path{dir_} / file.filename(), error);
        if (error) {
            return fail(message, "cannot move " + file.string() + ": " + error.message());
        }
        if (auto synced = sync_directory(dir_); !synced) {
            return synced;
        }
    }
    fs::remove(making_, error);
    return ok_status();
}

std::string journal_file_in(const std::string& dir) {
    std::error_code error;
    if (was_killed_while_moving(dir)) {
        return {};
    }
    for (const auto& entry : fs::directory_iterator{dir, error}) {
        if (is_of_journal(entry.path())) {
            return entry.path().string();
        }
    }
    return {};
}

}  // namespace millrace
