#include "shm/tick_table.h"

#include "core/assert.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "shm/clock.h"

namespace millrace {
namespace {

constexpr std::size_t kHeaderBytes = 4096;

std::size_t bytes_for(std::uint32_t capacity) noexcept {
    return kHeaderBytes + std::size_t{capacity} * sizeof(TickRow);
}

Text<16> text_of(std::string_view name) noexcept {
    Text<16> text;
    std::copy_n(name.begin(), std::min(name.size(), sizeof text.bytes), text.bytes);
    return text;
}

Error failed(const char* what) noexcept {
    const int why = errno;
    return {why == ENOSPC ? Errc::NoSpace : Errc::IoError, why, what};
}

/// Maps an open file whole. @return IoError.
Result<void*> map_file(int fd, std::size_t bytes, int protection) noexcept {
    void* at = ::mmap(nullptr, bytes, protection, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        return failed("cannot map the tick table");
    }
    return at;
}

/// @return why the mapped file is no table of this build.
Status check(const TickTableHeader& h, std::size_t bytes) noexcept {
    // Acquire: pairs with create()'s release: a magic means a whole header.
    if (h.magic.load(std::memory_order_acquire) != kTickTableMagic) {
        return {Errc::BadMagic, "is no tick table, or is being made just now"};
    }
    if (h.version != kTickTableVersion) {
        return {Errc::BadVersion, "is a tick table of another version"};
    }
    const bool sizes = h.capacity > 0 && h.capacity <= kTickRowsMax && h.total_bytes == bytes &&
                       bytes_for(h.capacity) == bytes &&
                       h.rows.load(std::memory_order_relaxed) <= h.capacity;
    return sizes ? ok_status() : Status{Errc::BadLayout, "is a tick table of impossible sizes"};
}

/// Whoever may write to it can tell any price, and by cutting it off kill who reads it.
Status check_owner(const struct stat& info) noexcept {
    const bool ours = info.st_uid == ::geteuid();
    const bool closed = (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
    if (!S_ISREG(info.st_mode) || !ours || !closed) {
        return {Errc::NotOwner,
                "the tick table is another user's, or others may write to it; remove it"};
    }
    return ok_status();
}

/// A whole new file under a name of its own, then in the place of the old one.
Result<int> make_file(const std::string& path, std::uint32_t capacity) {
    const std::string next = path + ".next";
    ::unlink(next.c_str());
    const int fd = ::open(next.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return failed("cannot create the tick table");
    }
    const std::size_t bytes = bytes_for(capacity);
    // Reserved now: a full /dev/shm is an error here and never a SIGBUS later.
    if (const int why = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes)); why != 0) {
        ::close(fd);
        ::unlink(next.c_str());
        errno = why;
        return failed("no room in /dev/shm for the tick table");
    }
    auto at = map_file(fd, bytes, PROT_READ | PROT_WRITE);
    if (!at) {
        ::close(fd);
        return at.error();
    }
    auto* h = new (at.value()) TickTableHeader{};
    h->version = kTickTableVersion;
    h->capacity = capacity;
    h->total_bytes = bytes;
    // Release: whoever sees the magic sees the rest.
    h->magic.store(kTickTableMagic, std::memory_order_release);
    ::munmap(at.value(), bytes);
    if (::rename(next.c_str(), path.c_str()) != 0) {
        ::close(fd);
        return failed("cannot put the tick table in its place");
    }
    return fd;
}

}  // namespace

TickTableMap::~TickTableMap() {
    if (at_ != nullptr) {
        ::munmap(at_, bytes_);
    }
}

std::uint32_t TickTableMap::capacity() const noexcept {
    return static_cast<std::uint32_t>((bytes_ - kHeaderBytes) / sizeof(TickRow));
}

TickRow& TickTableMap::row(std::uint32_t i) const noexcept {
    ASSERT(i < capacity());
    return *reinterpret_cast<TickRow*>(static_cast<std::byte*>(at_) + kHeaderBytes +
                                       std::size_t{i} * sizeof(TickRow));
}

Result<TickTableMap> TickTableMap::create(const std::string& path, std::uint32_t capacity) {
    if (capacity == 0 || capacity > kTickRowsMax) {
        return {Errc::BadInput, "a tick table has 1 to 65536 rows"};
    }
    const std::size_t bytes = bytes_for(capacity);
    int fd = ::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat info{};
    // What it has of holes is filled now: a full /dev/shm would be a SIGBUS later.
    const bool usable = fd >= 0 && ::fstat(fd, &info) == 0 && check_owner(info) &&
                        static_cast<std::size_t>(info.st_size) == bytes &&
                        ::posix_fallocate(fd, 0, static_cast<off_t>(bytes)) == 0;
    if (usable) {
        auto at = map_file(fd, bytes, PROT_READ | PROT_WRITE);
        ::close(fd);
        if (!at) {
            return at.error();
        }
        TickTableMap map{at.value(), bytes};
        if (check(map.header(), bytes)) {
            return map;
        }
    } else if (fd >= 0) {
        ::close(fd);
    }
    auto made = make_file(path, capacity);
    if (!made) {
        return made.error();
    }
    fd = made.value();
    auto at = map_file(fd, bytes, PROT_READ | PROT_WRITE);
    ::close(fd);
    if (!at) {
        return at.error();
    }
    return TickTableMap{at.value(), bytes};
}

Result<TickTableMap> TickTableMap::attach(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        const bool none = errno == ENOENT;
        return none ? Error{Errc::NotFound, ENOENT,
                            "there is no tick table: nobody has written one yet"}
                    : failed("cannot open the tick table");
    }
    struct stat info{};
    const bool known = ::fstat(fd, &info) == 0;
    const auto bytes = static_cast<std::size_t>(info.st_size);
    if (const Status owned = known ? check_owner(info) : ok_status(); !owned) {
        ::close(fd);
        return owned.error();
    }
    if (!known || bytes < kHeaderBytes) {
        ::close(fd);
        return {Errc::BadLayout, "is shorter than a tick table's header"};
    }
    auto at = map_file(fd, bytes, PROT_READ);
    ::close(fd);
    if (!at) {
        return at.error();
    }
    TickTableMap map{at.value(), bytes};
    if (const Status valid = check(map.header(), bytes); !valid) {
        return valid.error();
    }
    return map;
}

TickTableWriter::TickTableWriter(TickTableMap map) noexcept : map_{std::move(map)} {
    TickTableHeader& h = map_.header();
    h.writer_pid.store(static_cast<std::uint32_t>(::getpid()), std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < h.rows.load(std::memory_order_relaxed); ++i) {
        rows_.emplace(map_.row(i).name, i);
    }
}

std::optional<std::uint32_t> TickTableWriter::row_of(const Text<16>& symbol) noexcept {
    if (const auto known = rows_.find(symbol); known != rows_.end()) {
        return known->second;
    }
    TickTableHeader& h = map_.header();
    const std::uint32_t rows = h.rows.load(std::memory_order_relaxed);
    if (rows == h.capacity) {
        return std::nullopt;
    }
    rows_.emplace(symbol, rows);
    TickRow& row = map_.row(rows);
    row.name = symbol;
    // Release: pairs with find()'s acquire: the name is whole.
    row.ready.store(1, std::memory_order_release);
    h.rows.store(rows + 1, std::memory_order_release);
    return rows;
}

void TickTableWriter::store(std::uint32_t row, const Quote& quote, Nanos source) noexcept {
    TickRow& r = map_.row(row);
    r.cell.store(quote);
    r.source_ns.store(source.value, std::memory_order_relaxed);
    // One writer: a load and a store.
    r.updates.store(r.updates.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

void TickTableWriter::set_feed(std::uint32_t row, std::uint64_t login) noexcept {
    map_.row(row).feed.store(login, std::memory_order_relaxed);
}

void TickTableWriter::alive(Nanos now) noexcept {
    map_.header().alive_ns.store(now.value, std::memory_order_relaxed);
    map_.header().anchor_ns.store(now.value - monotonic_ns(), std::memory_order_relaxed);
}

std::uint32_t TickTableReader::rows() const noexcept {
    // Acquire: pairs with row_of(); clamped, for the file may be damaged later.
    return std::min(map_.header().rows.load(std::memory_order_acquire), map_.capacity());
}

std::optional<std::uint32_t> TickTableReader::find(std::string_view symbol) const noexcept {
    if (symbol.size() > sizeof(Text<16>)) {
        return std::nullopt;  // no row's; its first letters may be another one's
    }
    const Text<16> wanted = text_of(symbol);
    for (std::uint32_t i = 0; i < rows(); ++i) {
        const TickRow& r = map_.row(i);
        if (r.ready.load(std::memory_order_acquire) != 0 && r.name == wanted) {
            return i;
        }
    }
    return std::nullopt;
}

Nanos TickTableReader::now() const noexcept {
    const std::int64_t anchor = map_.header().anchor_ns.load(std::memory_order_relaxed);
    return Nanos{anchor == 0 ? wall_ns() : monotonic_ns() + anchor};
}

Nanos TickTableReader::alive() const noexcept {
    return Nanos{map_.header().alive_ns.load(std::memory_order_relaxed)};
}

}  // namespace millrace
