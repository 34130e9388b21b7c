#include "tools/explain/where.h"

#include <filesystem>

#include "tools/inspect/locate.h"
#include "tools/millrace/config_records.h"
#include "tools/millrace/start_check.h"

namespace millrace::explain {
namespace {

namespace fs = std::filesystem;

std::shared_ptr<const Segment> attach(const std::string& path) {
    std::string message;
    auto segment = Segment::attach(path, Segment::Mode::ReadOnly, message);
    return segment ? std::make_shared<const Segment>(std::move(segment).value()) : nullptr;
}

/// What the present configuration says: of the file, else of the text that `up` checked last.
void read_configuration(const WhereOptions& options, Where& where) {
    const std::string checked = checked_config_path(where.dir);
    std::error_code none;
    const bool has_checked = fs::exists(checked, none);
    if (options.target.config.empty() && !has_checked) {
        where.notices.push_back(
            "no configuration: limits and sizing are known only as far as the "
            "journal says them; -c FILE helps");
        return;
    }
    std::vector<Mistake> mistakes;
    const std::string file = options.target.config.empty() ? checked : options.target.config;
    Config config = read_config(file, mistakes, nullptr, has_checked ? checked : std::string{});
    if (config.symbols.empty() && config.accounts.empty()) {
        where.notices.push_back(file +
                                " cannot be read: limits and sizing are known only as far "
                                "as the journal says them");
        return;
    }
    std::vector<Mistake> ignored;
    IdBook ids = where.book.ids();
    where.configured.seed(make_config_records(config, ids, ignored).records);
    where.capacity = capacity_of(config, config.accounts_max);
    if (where.store.empty() && !options.target.config.empty()) {
        where.store = config.sqlite.path;  // relative to the file's folder: the copy has another
    }
}

std::string directory_of(const WhereOptions& options, Where& where, std::string& message) {
    if (!options.dir.empty()) {
        return options.dir;
    }
    if (!options.target.config.empty()) {
        const auto config = config_that_locates(options.target.config, message);
        if (!config) {
            return {};
        }
        return config.value().journal.dir;
    }
    const auto path = locate_segment(options.target, message);
    if (!path) {
        message += "\nThe logs of one that has stopped are found by -c FILE or --dir DIR";
        return {};
    }
    where.segment = attach(path.value());
    if (where.segment == nullptr) {
        message = path.value() + " cannot be read; name the logs by -c FILE or --dir DIR";
        return {};
    }
    return where.segment->header().journal_dir;
}

}  // namespace

std::shared_ptr<const Segment> segment_of(const std::string& journal_dir) {
    std::error_code none;
    for (const inspect::Candidate& c : inspect::list_segments("/dev/shm")) {
        if (c.fault.empty() && c.same_boot && fs::equivalent(c.journal_dir, journal_dir, none)) {
            return attach(c.path);
        }
    }
    return nullptr;
}

std::optional<Where> find_where(const WhereOptions& options, std::string& message) {
    Where where;
    where.store = options.store;
    where.dir = directory_of(options, where, message);
    if (where.dir.empty()) {
        return {};
    }
    std::error_code none;
    if (!fs::is_directory(where.dir, none)) {
        message = "there is no journal directory " + where.dir;
        return {};
    }
    if (where.segment == nullptr) {
        where.segment = segment_of(where.dir);
    }
    std::string trouble;
    if (auto ids = IdBook::load(where.dir, trouble); ids) {
        where.book = Book{std::move(ids).value()};
    } else {
        where.notices.push_back(trouble + "; accounts, groups and symbols are shown as numbers");
    }
    read_configuration(options, where);
    return where;
}

}  // namespace millrace::explain
