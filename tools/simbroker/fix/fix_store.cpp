#include "tools/simbroker/fix/fix_store.h"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace millrace::sim {
namespace {

// Both files are lines: `<number> <type> <time> <fields>` and `<in> <out>`. Our fields have no line
// feeds. The last line of the numbers counts.
constexpr std::uint64_t kNumbersBytesMax = 1 << 20;

std::string_view text_of(const std::vector<std::byte>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span{text});
}

/// Takes the word up to the next space off.
std::string_view word(std::string_view& line) {
    const std::size_t end = std::min(line.find(' '), line.size());
    const std::string_view taken = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return taken;
}

std::uint32_t number_of(std::string_view text) {
    std::uint32_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

/// Opens, cuts a torn last line, and gives what is there line by line.
template <class Visit>
Result<AppendFile> open_lines(const std::string& path, Visit&& visit) {
    auto file = AppendFile::open(path);
    if (!file) {
        return file.error();
    }
    const auto bytes = file.value().read_all();
    if (!bytes) {
        return bytes.error();
    }
    std::string_view text = text_of(bytes.value());
    text = text.substr(0, text.rfind('\n') + 1);  // npos + 1 is 0: not one whole line
    if (const Status cut = file.value().cut_to(text.size()); !cut) {
        return cut.error();
    }
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        visit(text.substr(0, end));
        text.remove_prefix(end + 1);
    }
    return file;
}

}  // namespace

void FixStore::take_line(std::string_view line) {
    FixSent sent;
    sent.number = number_of(word(line));
    sent.type = word(line);
    sent.time = word(line);
    sent.fields = line;
    sent_.push_back(std::move(sent));
    if (sent_.size() > kSentMax) {
        sent_.pop_front();
    }
}

Result<FixStore> FixStore::open(const std::string& path) {
    FixStore store;
    store.path_ = path;
    store.in_memory_ = path.empty();
    if (store.in_memory_) {
        return store;
    }
    auto sent = open_lines(path + ".sent", [&](std::string_view line) { store.take_line(line); });
    if (!sent) {
        return sent.error();
    }
    store.sent_file_ = std::move(sent).value();
    auto numbers = open_lines(path + ".numbers", [&](std::string_view line) {
        store.next_in_ = number_of(word(line));
        store.next_out_ = number_of(line);
    });
    if (!numbers) {
        return numbers.error();
    }
    store.numbers_ = std::move(numbers).value();
    if (!store.sent_.empty()) {  // a death between the message and its number
        store.next_out_ = std::max(store.next_out_, store.sent_.back().number + 1);
    }
    return store;
}

Status FixStore::keep_numbers() {
    if (in_memory_) {
        return ok_status();
    }
    const std::string line = std::to_string(next_in_) + " " + std::to_string(next_out_) + "\n";
    if (numbers_.size() < kNumbersBytesMax) {
        return numbers_.append(bytes_of(line));
    }
    const std::string path = path_ + ".numbers";
    auto fresh = AppendFile::open(path + ".new");
    if (!fresh) {
        return fresh.error();
    }
    AppendFile file = std::move(fresh).value();
    for (const Status& done : {file.cut_to(0), file.append(bytes_of(line))}) {
        if (!done) {
            return done;
        }
    }
    if (const Status taken = file.replace(path + ".new", path); !taken) {
        return taken;
    }
    numbers_ = std::move(file);
    return ok_status();
}

Status FixStore::set_in(std::uint32_t next) {
    next_in_ = next;
    return keep_numbers();
}

Status FixStore::count_out() {
    ++next_out_;
    return keep_numbers();
}

Status FixStore::add(FixSent sent) {
    if (!in_memory_) {
        const std::string line = std::to_string(sent.number) + " " + sent.type + " " + sent.time +
                                 " " + sent.fields + "\n";
        if (const Status kept = sent_file_.append(bytes_of(line)); !kept) {
            return kept;
        }
    }
    sent_.push_back(std::move(sent));
    if (sent_.size() > kSentMax) {
        sent_.pop_front();
    }
    return count_out();
}

Status FixStore::reset() {
    sent_.clear();
    next_in_ = next_out_ = 1;
    if (!in_memory_) {  // before the numbers: a message that is left would raise them again
        if (const Status cut = sent_file_.cut_to(0); !cut) {
            return cut;
        }
    }
    return keep_numbers();
}

}  // namespace millrace::sim
