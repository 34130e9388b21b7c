#include "tools/simbroker/books.h"

#include "core/crc32c.h"

#include <cstring>

namespace millrace::sim {
namespace {

std::uint32_t crc_of(const BookRecord& record) noexcept {
    return crc32c(std::as_bytes(std::span{&record, 1}).subspan(sizeof record.crc32c));
}

}  // namespace

void seal(BookRecord& record) noexcept {
    record.crc32c = crc_of(record);
}

bool is_intact(const BookRecord& record) noexcept {
    return record.crc32c == crc_of(record);
}

Result<std::uint64_t> scan_books(std::span<const std::byte> bytes,
                                 const std::function<void(const BookRecord&)>& visit) {
    std::uint64_t at = 0;
    std::uint64_t number = 0;
    while (bytes.size() - at >= sizeof(BookRecord)) {
        BookRecord record;
        std::memcpy(&record, bytes.data() + at, sizeof record);
        const bool last = bytes.size() - at < 2 * sizeof(BookRecord);
        if (!is_intact(record)) {
            if (last) {
                break;  // a write that was cut short by the end of its process or its disk
            }
            return {Errc::BadChecksum, "books: a record inside the file was changed"};
        }
        if (record.number != number + 1) {
            return {Errc::BadChain, "books: record numbers have a gap"};
        }
        number = record.number;
        at += sizeof record;
        visit(record);
    }
    return at;
}

Result<Books> Books::open(const std::string& path,
                          const std::function<void(const BookRecord&)>& visit) {
    auto file = AppendFile::open(path);
    if (!file) {
        return file.error();
    }
    Books books;
    books.file_ = std::move(file).value();
    const auto bytes = books.file_.read_all();
    if (!bytes) {
        return bytes.error();
    }
    const auto good = scan_books(bytes.value(), [&](const BookRecord& record) {
        books.last_number_ = record.number;
        visit(record);
    });
    if (!good) {
        return good.error();
    }
    if (const auto cut = books.file_.cut_to(good.value()); !cut) {
        return cut.error();
    }
    return books;
}

Status Books::append(std::span<BookRecord> records) noexcept {
    for (BookRecord& record : records) {
        record.number = ++last_number_;
        seal(record);
    }
    return file_.append(std::as_bytes(records));
}

}  // namespace millrace::sim
