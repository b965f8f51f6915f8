"""Countries as Vrio's shops write them, made into ISO 3166 alpha-2 codes.

Readers use it for addresses; `events.phones` needs the code to complete a national number.
"""

from phonenumbers import SUPPORTED_REGIONS


def alpha2(country: str) -> str:
    """The two-letter code ("US" for "USA" or "United States"); an unknown country comes back as it was written."""
    word = country.strip()
    if word in SUPPORTED_REGIONS:
        return word
    key = " ".join(word.replace(".", "").replace("&", "and").split()).upper()
    if key in SUPPORTED_REGIONS:
        return key
    return SPELLINGS.get(key, word)


# fmt: off
SPELLINGS = {
    spelling: code
    for code, spellings in {
        "AE": "ARE|UAE|UNITED ARAB EMIRATES",           "AR": "ARG|ARGENTINA",
        "AT": "AUT|AUSTRIA|ÖSTERREICH",                 "AU": "AUS|AUSTRALIA",
        "BE": "BEL|BELGIUM",                            "BG": "BGR|BULGARIA",
        "BR": "BRA|BRAZIL|BRASIL",                      "CA": "CAN|CANADA",
        "CH": "CHE|SWITZERLAND|SCHWEIZ",                "CL": "CHL|CHILE",
        "CN": "CHN|CHINA",                              "CO": "COL|COLOMBIA",
        "CR": "CRI|COSTA RICA",                         "CY": "CYP|CYPRUS",
        "CZ": "CZE|CZECHIA|CZECH REPUBLIC",             "DE": "DEU|GERMANY|DEUTSCHLAND",
        "DK": "DNK|DENMARK",                            "DO": "DOM|DOMINICAN REPUBLIC",
        "EE": "EST|ESTONIA",                            "EG": "EGY|EGYPT",
        "ES": "ESP|SPAIN|ESPAÑA",                       "FI": "FIN|FINLAND",
        "FR": "FRA|FRANCE",                             "GB": "GBR|UK|UNITED KINGDOM|GREAT BRITAIN|ENGLAND|SCOTLAND",
        "GR": "GRC|GREECE",                             "HK": "HKG|HONG KONG",
        "HR": "HRV|CROATIA",                            "HU": "HUN|HUNGARY",
        "ID": "IDN|INDONESIA",                          "IE": "IRL|IRELAND",
        "IL": "ISR|ISRAEL",                             "IN": "IND|INDIA",
        "IS": "ISL|ICELAND",                            "IT": "ITA|ITALY|ITALIA",
        "JM": "JAM|JAMAICA",                            "JP": "JPN|JAPAN",
        "KR": "KOR|KOREA|SOUTH KOREA|REPUBLIC OF KOREA", "LT": "LTU|LITHUANIA",
        "LU": "LUX|LUXEMBOURG",                         "LV": "LVA|LATVIA",
        "MT": "MLT|MALTA",                              "MX": "MEX|MEXICO|MÉXICO",
        "MY": "MYS|MALAYSIA",                           "NG": "NGA|NIGERIA",
        "NL": "NLD|NETHERLANDS|THE NETHERLANDS|HOLLAND", "NO": "NOR|NORWAY",
        "NZ": "NZL|NEW ZEALAND",                        "PE": "PER|PERU",
        "PH": "PHL|PHILIPPINES",                        "PK": "PAK|PAKISTAN",
        "PL": "POL|POLAND",                             "PR": "PRI|PUERTO RICO",
        "PT": "PRT|PORTUGAL",                           "RO": "ROU|ROMANIA",
        "SA": "SAU|SAUDI ARABIA",                       "SE": "SWE|SWEDEN",
        "SG": "SGP|SINGAPORE",                          "SI": "SVN|SLOVENIA",
        "SK": "SVK|SLOVAKIA",                           "TH": "THA|THAILAND",
        "TR": "TUR|TURKEY|TÜRKIYE",                     "TW": "TWN|TAIWAN",
        "UA": "UKR|UKRAINE",                            "US": "USA|UNITED STATES|UNITED STATES OF AMERICA",
        "VN": "VNM|VIETNAM",                            "ZA": "ZAF|SOUTH AFRICA",
    }.items()
    for spelling in spellings.split("|")
}
# fmt: on
