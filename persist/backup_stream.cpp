#include "persist/backup_stream.h"

#include <fcntl.h>
#include <lz4frame.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <utility>

#include "persist/sign_of_life.h"
#include "persist/sqlite_cursor.h"

namespace millrace {
namespace {

constexpr std::size_t kChunk = 1 << 20;
constexpr int kBusyMs = 250;
constexpr std::uint64_t kFlushEvery = std::uint64_t{64} << 20U;  // what one flush may have to write

Status failed(const char* what) noexcept {
    const int e = errno;
    const bool full = e == ENOSPC || e == EDQUOT || e == EFBIG;
    return {full ? Errc::NoSpace : Errc::IoError, what, e};
}

struct CloseFd {
    int fd = -1;
    ~CloseFd() {
        if (fd >= 0) {
            ::close(fd);
        }
    }
};
struct FreeHash {
    void operator()(XXH3_state_t* s) const noexcept { (void)XXH3_freeState(s); }
};
struct FreePacker {
    void operator()(LZ4F_cctx* c) const noexcept { (void)LZ4F_freeCompressionContext(c); }
};
struct FreeUnpacker {
    void operator()(LZ4F_dctx* d) const noexcept { (void)LZ4F_freeDecompressionContext(d); }
};

/// Bytes and hash of one side.
class Tally {
public:
    Tally() : state_{XXH3_createState()} {
        ASSERT(state_ != nullptr);
        (void)XXH3_64bits_reset(state_.get());
    }
    void add(const std::byte* data, std::size_t bytes) noexcept {
        (void)XXH3_64bits_update(state_.get(), data, bytes);
        bytes_ += bytes;
    }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::uint64_t hash() const noexcept { return XXH3_64bits_digest(state_.get()); }

private:
    std::unique_ptr<XXH3_state_t, FreeHash> state_;
    std::uint64_t bytes_ = 0;
};

Status write_all(int fd, const std::byte* data, std::size_t bytes) noexcept {
    while (bytes > 0) {
        const ssize_t put = ::write(fd, data, bytes);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            errno = put == 0 ? ENOSPC : errno;
            return failed("cannot be written");
        }
        data += put;
        bytes -= static_cast<std::size_t>(put);
    }
    return ok_status();
}

/// @return bytes read, 0 at the end, -1.
ssize_t read_some(int fd, std::vector<std::byte>& into) noexcept {
    ssize_t got = -1;
    do {
        got = ::read(fd, into.data(), into.size());
    } while (got < 0 && errno == EINTR);
    return got;
}

bool goes_on(const SqliteBackupOptions& o, const char* what, std::uint64_t done,
             std::uint64_t total) {
    // Relaxed: a wish, nothing is published by it.
    return (o.stop == nullptr || !o.stop->load(std::memory_order_relaxed)) &&
           (!o.progress || o.progress(what, done, total));
}

/// @param what for goes_on(), which is asked while it lasts.
Status flush(int fd, const SqliteBackupOptions& o, std::uint64_t bytes) {
    const SignOfLife alive{[&] { return goes_on(o, "flush", 0, bytes); }, patience_with(bytes)};
    return ::fdatasync(fd) == 0 ? ok_status() : failed("the restored file cannot be flushed");
}

std::uint64_t size_of(int fd) noexcept {
    struct stat s{};
    return ::fstat(fd, &s) == 0 ? static_cast<std::uint64_t>(s.st_size) : 0;
}

/// Writes what the packer put out.
Status put(int fd, const std::vector<std::byte>& out, std::size_t bytes, Tally& packed) noexcept {
    if (LZ4F_isError(bytes) != 0) {
        return {Errc::IoError, "LZ4 failed"};
    }
    packed.add(out.data(), bytes);
    return write_all(fd, out.data(), bytes);
}

Status pack(int from, int to, const SqliteBackupOptions& o, Tally& raw, Tally& packed) {
    LZ4F_preferences_t preferences{};
    preferences.frameInfo.blockSizeID = LZ4F_max1MB;
    preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    preferences.frameInfo.blockChecksumFlag = LZ4F_blockChecksumEnabled;
    LZ4F_cctx* made = nullptr;
    if (LZ4F_isError(LZ4F_createCompressionContext(&made, LZ4F_VERSION)) != 0) {
        return {Errc::IoError, "LZ4 failed"};
    }
    const std::unique_ptr<LZ4F_cctx, FreePacker> packer{made};
    std::vector<std::byte> in(kChunk);
    std::vector<std::byte> out(LZ4F_compressBound(kChunk, &preferences) + LZ4F_HEADER_SIZE_MAX);
    const std::uint64_t total = size_of(from);
    Status done =
        put(to, out, LZ4F_compressBegin(made, out.data(), out.size(), &preferences), packed);
    ssize_t got = 0;
    while (done && (got = read_some(from, in)) > 0) {
        const auto bytes = static_cast<std::size_t>(got);
        raw.add(in.data(), bytes);
        done = put(to, out,
                   LZ4F_compressUpdate(made, out.data(), out.size(), in.data(), bytes, nullptr),
                   packed);
        if (done && !goes_on(o, "pack", raw.bytes(), total)) {
            return {Errc::Timeout, "given up"};
        }
    }
    if (got < 0) {
        return failed("cannot be read");
    }
    return done ? put(to, out, LZ4F_compressEnd(made, out.data(), out.size(), nullptr), packed)
                : done;
}

/// Unpacks one chunk that was read. `done` turns true at the frame's end.
Status unpack_chunk(LZ4F_dctx* unpacker, const std::byte* in, std::size_t left, int to, Tally& raw,
                    std::vector<std::byte>& out, bool& done) {
    while (left > 0 && !done) {
        std::size_t made = out.size();
        std::size_t taken = left;
        const std::size_t hint = LZ4F_decompress(unpacker, out.data(), &made, in, &taken, nullptr);
        if (LZ4F_isError(hint) != 0) {
            return {Errc::BadChecksum, "is damaged"};
        }
        raw.add(out.data(), made);
        if (auto put = write_all(to, out.data(), made); !put) {
            return put;
        }
        in += taken;
        left -= taken;
        done = hint == 0;
    }
    return left == 0 ? ok_status() : Status{Errc::BadChecksum, "has bytes behind its end"};
}

Status unpack(int from, int to, const BackupHeader& header, const SqliteBackupOptions& o) {
    LZ4F_dctx* made = nullptr;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&made, LZ4F_VERSION)) != 0) {
        return {Errc::IoError, "LZ4 failed"};
    }
    const std::unique_ptr<LZ4F_dctx, FreeUnpacker> unpacker{made};
    std::vector<std::byte> in(kChunk);
    std::vector<std::byte> out(kChunk);
    Tally raw;
    Tally packed;
    std::uint64_t flushed = 0;
    bool done = false;
    ssize_t got = 0;
    if (!goes_on(o, "unpack", 0, header.raw_bytes)) {
        return {Errc::Timeout, "given up"};
    }
    while ((got = read_some(from, in)) > 0) {
        const auto bytes = static_cast<std::size_t>(got);
        packed.add(in.data(), bytes);
        if (auto status = unpack_chunk(made, in.data(), bytes, to, raw, out, done); !status) {
            return status;
        }
        if (raw.bytes() > header.raw_bytes) {
            return {Errc::BadChecksum, "unpacks to more than was packed"};
        }
        if (raw.bytes() - flushed >= kFlushEvery) {
            if (auto status = flush(to, o, kFlushEvery); !status) {
                return status;
            }
            flushed = raw.bytes();
        }
        if (!goes_on(o, "unpack", raw.bytes(), header.raw_bytes)) {
            return {Errc::Timeout, "given up"};
        }
    }
    if (got < 0) {
        return failed("cannot be read");
    }
    const bool same = done && raw.bytes() == header.raw_bytes && raw.hash() == header.raw_hash &&
                      packed.bytes() == header.packed_bytes && packed.hash() == header.packed_hash;
    return same ? ok_status() : Status{Errc::BadChecksum, "is damaged, or cut short"};
}

}  // namespace

Status pack_file(const std::string& from, const std::string& to, BackupHeader& header,
                 const SqliteBackupOptions& options) {
    const CloseFd in{::open(from.c_str(), O_RDONLY | O_CLOEXEC)};
    const CloseFd out{::open(to.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (in.fd < 0 || out.fd < 0) {
        return failed("cannot be opened");
    }
    // Room for the header, which is known at the end.
    BackupHeader none{};
    none.magic = 0;
    Tally raw;
    Tally packed;
    Status done = write_all(out.fd, reinterpret_cast<const std::byte*>(&none), sizeof none);
    done = done ? pack(in.fd, out.fd, options, raw, packed) : done;
    if (!done) {
        return done;
    }
    header.raw_bytes = raw.bytes();
    header.raw_hash = raw.hash();
    header.packed_bytes = packed.bytes();
    header.packed_hash = packed.hash();
    header.header_hash = XXH3_64bits(&header, offsetof(BackupHeader, header_hash));
    if (::pwrite(out.fd, &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header)) {
        return failed("cannot be written");
    }
    return ::fsync(out.fd) == 0 ? ok_status() : failed("cannot be flushed");
}

Status unpack_file(const std::string& from, const std::string& to, const BackupHeader& header,
                   const SqliteBackupOptions& options) {
    const CloseFd in{::open(from.c_str(), O_RDONLY | O_CLOEXEC)};
    if (in.fd < 0) {
        return failed("cannot be opened");
    }
    const CloseFd out{
        ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (out.fd < 0) {
        return failed("the file to restore into cannot be made");
    }
    // A hint: pages that are clean, as after a flush, are dropped and read again.
    (void)::posix_fadvise(in.fd, 0, 0, POSIX_FADV_DONTNEED);
    if (::lseek(in.fd, sizeof(BackupHeader), SEEK_SET) < 0) {
        return failed("cannot be read");
    }
    const Status done = unpack(in.fd, out.fd, header, options);
    if (!done) {
        return done;
    }
    return flush(out.fd, options, header.raw_bytes);
}

Status check_restored(const std::string& path, const BackupHeader& header,
                      const SqliteBackupOptions& options) {
    SqliteDb db;
    if (auto opened = db.open(path, kBusyMs, SqliteOpen::Existing); !opened) {
        return opened;
    }
    if (!goes_on(options, "check", 0, header.raw_bytes)) {
        return {Errc::Timeout, "given up"};
    }
    const auto answer = db.long_text("PRAGMA integrity_check(1)", header.raw_bytes, [&] {
        return goes_on(options, "checking", 0, header.raw_bytes);
    });
    if (answer.code() == Errc::Timeout) {
        return answer.error();
    }
    if (!answer) {
        return answer.error();
    }
    if (answer.value() != "ok") {
        return {Errc::BadChecksum, "the restored store fails SQLite's integrity check"};
    }
    const auto cursor = read_sqlite_cursor(db);
    if (!cursor) {
        return cursor.error();
    }
    return cursor.value().cursor == header.cursor()
               ? ok_status()
               : Status{Errc::BadChecksum, "the restored store has another cursor"};
}

}  // namespace millrace
