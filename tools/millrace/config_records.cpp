#include "tools/millrace/config_records.h"

#include <xxhash.h>

#include <algorithm>

#include "tools/millrace/guards_config.h"

namespace millrace {

SymbolSpec symbol_spec(const SymbolConfig& s, SymbolId id) {
    SymbolSpec spec;
    spec.id = id;
    spec.digits = s.digits;
    spec.name = make_text<16>(s.name);
    spec.tick_size = Price{s.tick_size};
    spec.volume_min = Lots{s.volume_min};
    spec.volume_max = Lots{s.volume_max};
    spec.volume_step = Lots{s.volume_step};
    spec.contract_size = s.contract_size;
    spec.collar = Ratio{s.collar};
    return spec;
}

namespace {

AccountSpec spec_of(const AccountConfig& a, AccountId id) {
    AccountSpec spec;
    spec.id = id;
    spec.margin_mode = a.margin_mode;
    spec.leaves_early = a.gate == Durability::Process ? 1 : 0;
    spec.name = make_text<16>(a.name);
    spec.login = a.login;
    spec.symbol_prefix = make_text<8>(a.symbol_prefix);
    spec.symbol_suffix = make_text<8>(a.symbol_suffix);
    spec.max_lots = Lots{a.max_lots};
    spec.max_open_orders = a.max_open_orders;
    spec.rate_per_second = a.rate_per_second;
    spec.rate_burst = a.rate_burst;
    spec.deviation_points = a.deviation_points;
    spec.duplicate_window_ms = a.duplicate_window_ms;
    spec.on_duplicate = a.on_duplicate;
    spec.on_double = a.on_double;
    return spec;
}

template <class Spec, class Id>
Spec named(Id id, const std::string& name) {
    Spec spec;
    spec.id = id;
    spec.name = make_text<16>(name);
    return spec;
}

class Maker {
public:
    Maker(const Config& config, IdBook& ids, std::vector<Mistake>& mistakes)
        : config_{config}, ids_{ids}, mistakes_{mistakes} {}

    ConfigRecords make() {
        add(AdminOp::RiskLimits, config_.risk);
        for (const SymbolConfig& s : config_.symbols) {
            const SymbolId symbol{id(NameKind::Symbol, s.name, kSymbolsMax)};
            add(AdminOp::DefineSymbol, symbol_spec(s, symbol));
            SymbolLimitSpec limits = s.limits;
            limits.id = symbol;
            add(AdminOp::DefineSymbolLimits, limits);
        }
        add_money();
        for (const SourceConfig& s : config_.sources) {
            const SourceId source{id(NameKind::Source, s.name, kNamesPerKind)};
            add(AdminOp::DefineSource, named<SourceSpec>(source, s.name));
        }
        for (const AccountConfig& a : config_.accounts) {
            const AccountId account{id(NameKind::Account, a.name, config_.accounts_max)};
            add(AdminOp::DefineAccount, spec_of(a, account));
            add_limits(LimitScope::Account, account.value, a.limits);
            add_guards(a, account);
        }
        for (const GroupConfig& g : config_.groups) {
            const GroupId group{id(NameKind::Group, g.name, kNamesPerKind)};
            GroupSpec spec = named<GroupSpec>(group, g.name);
            spec.on_partial = static_cast<std::uint32_t>(g.on_partial);
            add(AdminOp::DefineGroup, spec);
            add_limits(LimitScope::Group, group.value, g.limits);
            MoneyLimitSpec money = g.money;
            money.id = group.value;
            if (money.measures() || money.max_net_volume.value > 0) {
                add(AdminOp::DefineMoneyLimits, money);
            }
            for (const MemberConfig& m : g.members) {
                define_member(group, m);
            }
        }
        remove_members();
        commit();
        return std::move(made_);
    }

private:
    template <class Body>
    void add(AdminOp op, const Body& body) {
        made_.records.push_back(AdminRecord::make(op, body));
    }

    /// Those of nothing too: what the file no longer has must end.
    void add_limits(LimitScope scope, std::uint32_t id, LimitSpec limits) {
        limits.scope = scope;
        limits.id = id;
        add(AdminOp::DefineLimits, limits);
    }

    /// Currencies, and what symbols have of these and of hours. What is not named here and below
    /// ends with the commit.
    void add_money() {
        const auto symbol_id = [this](const std::string& name) {
            return SymbolId{ids_.find(NameKind::Symbol, name)};
        };
        for (CurrencySpec spec : currency_specs(config_, symbol_id)) {
            spec.index = number(std::string{view(spec.name)}) - 1U;
            add(AdminOp::DefineCurrency, spec);
        }
        for (const SymbolConfig& s : config_.symbols) {
            SymbolGuardSpec guard = s.guard;
            guard.id = symbol_id(s.name);
            guard.currency = number(currency_of(config_, s));
            if (guard.currency != kNoCurrency || guard.collar_points > 0 ||
                guard.collar_spreads.value > 0) {
                add(AdminOp::DefineSymbolGuard, guard);
            }
            add_hours(s.hours, guard.id.value);
        }
    }

    void add_hours(HoursSpec hours, std::uint32_t id) {
        hours.id = id;
        if (hours.count > 0 || hours.flat_before_min > 0) {
            add(AdminOp::DefineHours, hours);
        }
    }

    void add_guards(const AccountConfig& a, AccountId account) {
        MoneyLimitSpec money = a.money;
        money.id = account.value;
        money.currency = number(a.currency.empty() ? config_.money.currency : a.currency);
        if (money.currency != kNoCurrency || money.changes_per_minute > 0) {
            add(AdminOp::DefineMoneyLimits, money);
        }
        add_hours(a.hours, account.value);
    }

    /// A currency's number: 1 of the common one, which is another's if another is common; the
    /// others keep theirs, or those that go by it would mean another currency until their own
    /// records come.
    std::uint8_t number(const std::string& currency) {
        const std::uint8_t place = currency_number(config_, currency);
        if (place <= 1) {
            return place;
        }
        const std::uint32_t given = id(NameKind::Currency, currency, kCurrenciesMax - 1);
        return static_cast<std::uint8_t>(std::min(given, kCurrenciesMax - 2) + 2);
    }

    std::uint32_t id(NameKind kind, const std::string& name, std::uint32_t limit) {
        const std::uint32_t given = ids_.assign(kind, name);
        if (given >= limit) {
            mistakes_.push_back({config_.file, 0, name,
                                 "gets id " + std::to_string(given) + ", the table holds " +
                                     std::to_string(limit) +
                                     ": names that were removed keep their ids, and "
                                     "\"accounts_max\" stays what a journal directory was begun "
                                     "with; use a new one"});
        }
        return given;
    }

    void define_member(GroupId group, const MemberConfig& m) {
        MemberSpec spec{};
        spec.group = group;
        spec.account = AccountId{ids_.find(NameKind::Account, m.account)};
        spec.sizing = m.sizing;
        spec.enabled = m.enabled ? 1 : 0;
        spec.value = m.value;
        if (const std::uint32_t standby = ids_.find(NameKind::Account, m.standby);
            !m.standby.empty() && standby != kNoId) {
            spec.standby = standby + 1;
            spec.standby_after_s = static_cast<std::uint16_t>(m.standby_after_s);
        }
        allow_symbols(spec, m.symbols);
        add(AdminOp::DefineMember, spec);
        seen_.insert({group.value, spec.account.value});
    }

    void allow_symbols(MemberSpec& spec, const std::vector<std::string>& names) {
        for (std::uint64_t& word : spec.symbols) {
            word = names.empty() ? ~std::uint64_t{0} : 0;
        }
        for (const std::string& name : names) {
            const std::uint32_t symbol = ids_.find(NameKind::Symbol, name);
            if (symbol < kSymbolsMax) {
                spec.symbols[symbol / 64] |= std::uint64_t{1} << (symbol % 64);
            }
        }
    }

    void remove_members() {
        for (const auto& [group, account] : ids_.members()) {
            if (!seen_.contains({group, account})) {
                MemberSpec spec{};
                spec.group = GroupId{group};
                spec.account = AccountId{account};
                spec.enabled = 0;
                add(AdminOp::DefineMember, spec);
            }
        }
        ids_.members().insert(seen_.begin(), seen_.end());
    }

    void commit() {
        const std::uint64_t hash =
            XXH3_64bits(made_.records.data(), made_.records.size() * sizeof(AdminRecord));
        made_.hash = hash < 2 ? hash + 2 : hash;  // 0 = the engine has none, 1 = none whole
        add(AdminOp::ConfigCommit, ConfigCommit{made_.hash});
    }

    const Config& config_;
    IdBook& ids_;
    std::vector<Mistake>& mistakes_;
    ConfigRecords made_;
    std::set<IdBook::Member> seen_;
};

template <class Spec>
std::string named_record(const char* op, const AdminRecord& record) {
    return op + std::string{" "} + std::string{view(record.as<Spec>().name)};
}

}  // namespace

ConfigRecords make_config_records(const Config& config, IdBook& ids,
                                  std::vector<Mistake>& mistakes) {
    return Maker{config, ids, mistakes}.make();
}

std::string describe(const AdminRecord& record) {
    switch (record.op) {
        case AdminOp::DefineSymbol: return named_record<SymbolSpec>("DefineSymbol", record);
        case AdminOp::DefineSource: return named_record<SourceSpec>("DefineSource", record);
        case AdminOp::DefineGroup: return named_record<GroupSpec>("DefineGroup", record);
        case AdminOp::DefineAccount: return named_record<AccountSpec>("DefineAccount", record);
        case AdminOp::DefineMember: {
            const auto m = record.as<MemberSpec>();
            return "DefineMember group " + std::to_string(m.group.value) + " account " +
                   std::to_string(m.account.value);
        }
        case AdminOp::ConfigCommit: return "ConfigCommit";
        case AdminOp::SetAccount:
            return "SetAccount " + std::to_string(record.as<AccountCommand>().account.value);
        case AdminOp::Kill: return "Kill";
        case AdminOp::ClearKill: return "ClearKill";
        case AdminOp::Resolve: return "Resolve";
        case AdminOp::RiskLimits: return "RiskLimits";
        case AdminOp::SetGroup:
            return "SetGroup " + std::to_string(record.as<GroupCommand>().group.value);
        case AdminOp::RemoveAccount:
            return "RemoveAccount " + std::to_string(record.as<AccountRemoval>().account.value);
        case AdminOp::RemoveGroup:
            return "RemoveGroup " + std::to_string(record.as<GroupRemoval>().group.value);
        case AdminOp::DefineLimits: {
            const auto l = record.as<LimitSpec>();
            return (l.scope == LimitScope::Group ? "DefineLimits group "
                                                 : "DefineLimits account ") +
                   std::to_string(l.id);
        }
        case AdminOp::DefineSymbolLimits:
            return "DefineSymbolLimits " + std::to_string(record.as<SymbolLimitSpec>().id.value);
        case AdminOp::DefineCurrency:
            return "DefineCurrency " + std::string{view(record.as<CurrencySpec>().name)};
        case AdminOp::DefineMoneyLimits:
            return "DefineMoneyLimits " + std::to_string(record.as<MoneyLimitSpec>().id);
        case AdminOp::DefineHours:
            return "DefineHours " + std::to_string(record.as<HoursSpec>().id);
        case AdminOp::DefineSymbolGuard:
            return "DefineSymbolGuard " + std::to_string(record.as<SymbolGuardSpec>().id.value);
    }
    return "unknown admin record";
}

}  // namespace millrace
