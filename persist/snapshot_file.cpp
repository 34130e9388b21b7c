#include "persist/snapshot_file.h"

#include "core/crash_point.h"
#include "persist/file_preparer.h"
#include "shm/clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <lz4.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string_view>

namespace millrace {
namespace {

constexpr const char* kTemporary = "snapshot.tmp";
constexpr std::size_t kNameBytes = 9 + 20 + 4;

Error failed(const char* what) noexcept {
    const int e = errno;
    const bool full = e == ENOSPC || e == EDQUOT || e == EFBIG;
    return {full ? Errc::NoSpace : Errc::IoError, e, what};
}

std::optional<Sequence> parse_name(std::string_view name) noexcept {
    if (name.size() != kNameBytes || !name.starts_with("snapshot-") || !name.ends_with(".mrs")) {
        return std::nullopt;
    }
    Sequence seq;
    const char* end = name.data() + 29;
    const auto parsed = std::from_chars(name.data() + 9, end, seq.value);
    return parsed.ec == std::errc{} && parsed.ptr == end ? std::optional{seq} : std::nullopt;
}

std::uint64_t hash_of(const SnapshotHeader& header) noexcept {
    return XXH3_64bits(&header, offsetof(SnapshotHeader, header_hash));
}

bool write_all(int fd, std::span<const std::byte> bytes) noexcept {
    while (!bytes.empty()) {
        const ssize_t put = ::write(fd, bytes.data(), bytes.size());
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            errno = put == 0 ? ENOSPC : errno;
            return false;
        }
        bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
    return true;
}

// Everything up to the rename; removes the temporary file if anything fails.
Status write_temporary(const std::string& path, const SnapshotHeader& header,
                       std::span<const std::byte> packed) noexcept {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return failed("snapshot: cannot create a file");
    }
    Status result = ok_status();
    if (!write_all(fd, std::as_bytes(std::span{&header, 1})) || !write_all(fd, packed)) {
        result = failed("snapshot: cannot write the file");
    } else if (::fsync(fd) != 0) {
        result = failed("snapshot: cannot flush the file");
    }
    ::close(fd);
    if (!result) {
        ::unlink(path.c_str());
    }
    return result;
}

void remove_old(const std::string& directory) {
    const auto all = list_snapshots(directory);
    if (!all || all.value().size() <= kSnapshotsKept) {
        return;  // one too many hurts nothing and goes next time
    }
    const auto& seqs = all.value();
    for (std::size_t i = 0; i + kSnapshotsKept < seqs.size(); ++i) {
        ::unlink((directory + "/" + snapshot_name(seqs[i])).c_str());
    }
}

Result<std::vector<std::byte>> read_file(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return failed("cannot be opened");
    }
    struct stat info{};
    if (::fstat(fd, &info) != 0) {
        const Error error = failed("cannot be examined");
        ::close(fd);
        return error;
    }
    std::vector<std::byte> bytes(static_cast<std::size_t>(info.st_size));
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t got = ::read(fd, bytes.data() + done, bytes.size() - done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            const Error error = got < 0 ? failed("cannot be read")
                                        : Error{Errc::BadLayout, 0, "became shorter while read"};
            ::close(fd);
            return error;
        }
        done += static_cast<std::size_t>(got);
    }
    ::close(fd);
    return bytes;
}

/// The header that `file` begins with.
Result<SnapshotHeader> header_of(std::span<const std::byte> file, Sequence named) {
    SnapshotHeader header;
    if (file.size() < sizeof(header)) {
        return {Errc::BadLayout, "is shorter than its header"};
    }
    std::memcpy(&header, file.data(), sizeof(header));
    if (header.magic != kSnapshotMagic) {
        return {Errc::BadMagic, "is not a snapshot"};
    }
    if (hash_of(header) != header.header_hash) {
        return {Errc::BadChecksum, "has a damaged header"};
    }
    if (header.version != kSnapshotVersion) {
        return {Errc::BadVersion, "is of another format version"};
    }
    if (header.seq != named.value) {
        return {Errc::BadLayout, "does not have the number that its header says"};
    }
    return header;
}

Result<Snapshot> unpack(std::span<const std::byte> file, Sequence named) {
    const auto whole_header = header_of(file, named);
    if (!whole_header) {
        return whole_header.error();
    }
    const SnapshotHeader& header = whole_header.value();
    const auto packed = file.subspan(sizeof(header));
    if (header.packed_bytes != packed.size() || header.image_bytes == 0 ||
        header.image_bytes > kSnapshotBytesMax) {
        return {Errc::BadLayout, "does not have the size that its header says"};
    }
    if (XXH3_64bits(packed.data(), packed.size()) != header.packed_hash) {
        return {Errc::BadChecksum, "is damaged"};
    }
    Snapshot snapshot{{header.epoch, Sequence{header.seq}, header.chain}, header.logic_version, {}};
    snapshot.image.resize(header.image_bytes);
    const int made = ::LZ4_decompress_safe(reinterpret_cast<const char*>(packed.data()),
                                           reinterpret_cast<char*>(snapshot.image.data()),
                                           static_cast<int>(packed.size()),
                                           static_cast<int>(snapshot.image.size()));
    const bool whole = made >= 0 && static_cast<std::uint64_t>(made) == header.image_bytes;
    if (!whole || XXH3_64bits(snapshot.image.data(), snapshot.image.size()) != header.image_hash) {
        return {Errc::BadChecksum, "does not unpack to what was packed"};
    }
    return snapshot;
}

}  // namespace

std::string snapshot_name(Sequence seq) {
    char text[64];
    std::snprintf(text, sizeof(text), "snapshot-%020llu.mrs",
                  static_cast<unsigned long long>(seq.value));
    return text;
}

Status write_snapshot(const std::string& directory, const LogCursor& at,
                      std::span<const std::byte> image, std::string& message,
                      const EffectsMark& effects) {
    if (image.empty() || image.size() > kSnapshotBytesMax) {
        message = "snapshot of record " + std::to_string(at.seq.value) + ": an image of " +
                  std::to_string(image.size()) + " bytes cannot be stored";
        return {Errc::BadInput, "snapshot image of impossible size"};
    }
    std::vector<std::byte> packed(
        static_cast<std::size_t>(::LZ4_compressBound(static_cast<int>(image.size()))));
    const int bytes = ::LZ4_compress_default(
        reinterpret_cast<const char*>(image.data()), reinterpret_cast<char*>(packed.data()),
        static_cast<int>(image.size()), static_cast<int>(packed.size()));
    ASSERT(bytes > 0);  // the bound was enough by LZ4's own word
    packed.resize(static_cast<std::size_t>(bytes));
    SnapshotHeader header;
    header.logic_version = logic_version();
    header.epoch = at.epoch;
    header.seq = at.seq.value;
    header.chain = at.chain;
    header.image_bytes = image.size();
    header.packed_bytes = packed.size();
    header.image_hash = XXH3_64bits(image.data(), image.size());
    header.packed_hash = XXH3_64bits(packed.data(), packed.size());
    header.created_ns = wall_ns();
    header.effects = effects;
    header.header_hash = hash_of(header);
    const std::string temporary = directory + "/" + kTemporary;
    const std::string path = directory + "/" + snapshot_name(at.seq);
    Status done = write_temporary(temporary, header, packed);
    MILLRACE_CRASH_POINT("snapshot.before_rename");
    if (done.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) {
        done = failed("snapshot: cannot rename the file");
        ::unlink(temporary.c_str());
    }
    if (done.ok()) {
        done = sync_directory(directory);
    }
    if (!done) {
        message = path + ": " + done.error().what + " (" + std::strerror(done.error().sys_errno) +
                  "); the older snapshots are untouched";
        return done;
    }
    MILLRACE_CRASH_POINT("snapshot.after_rename");
    remove_old(directory);
    return done;
}

Result<std::vector<Sequence>> list_snapshots(const std::string& directory) {
    DIR* dir = ::opendir(directory.c_str());
    if (dir == nullptr) {
        return failed("snapshot: cannot list the directory");
    }
    std::vector<Sequence> seqs;
    while (const dirent* entry = ::readdir(dir)) {
        if (const auto seq = parse_name(entry->d_name)) {
            seqs.push_back(*seq);
        }
    }
    ::closedir(dir);
    std::sort(seqs.begin(), seqs.end());
    return seqs;
}

Result<SnapshotHeader> snapshot_header(const std::string& directory, Sequence seq) {
    const int fd = ::open((directory + "/" + snapshot_name(seq)).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return failed("cannot be opened");
    }
    std::array<std::byte, sizeof(SnapshotHeader)> bytes{};
    const ssize_t got = ::pread(fd, bytes.data(), bytes.size(), 0);
    const Error error = failed("cannot be read");
    ::close(fd);
    if (got < 0) {
        return error;
    }
    return header_of(std::span{bytes}.first(static_cast<std::size_t>(got)), seq);
}

std::int64_t newest_snapshot_ns(const std::string& directory) {
    const auto seqs = list_snapshots(directory);
    struct stat info{};
    if (!seqs || seqs.value().empty() ||
        ::stat((directory + "/" + snapshot_name(seqs.value().back())).c_str(), &info) != 0) {
        return 0;
    }
    return static_cast<std::int64_t>(info.st_mtim.tv_sec) * 1'000'000'000 + info.st_mtim.tv_nsec;
}

Result<Snapshot> load_snapshot(const std::string& directory, Sequence limit,
                               std::vector<std::string>& bad) {
    const auto seqs = list_snapshots(directory);
    if (!seqs) {
        return seqs.error();
    }
    for (auto seq = seqs.value().rbegin(); seq != seqs.value().rend(); ++seq) {
        if (*seq > limit) {
            continue;
        }
        const std::string path = directory + "/" + snapshot_name(*seq);
        auto file = read_file(path);
        auto snapshot = file.ok() ? unpack(file.value(), *seq) : Result<Snapshot>{file.error()};
        if (snapshot.ok()) {
            return snapshot;
        }
        bad.push_back(path + " " + snapshot.error().what + "; using an older one");
    }
    return {Errc::NotFound, "snapshot: none that is valid at or below the limit"};
}

}  // namespace millrace
