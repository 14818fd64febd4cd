{# Fails with each value of `column_name` that only one of the model and `other` has: none may vanish. #}
{% test same_distinct_values_as(model, column_name, other) %}
select {{ column_name }}
from (
    select {{ column_name }}, true as here from {{ model }}
    union all
    select {{ column_name }}, false as here from {{ other }}
)
group by {{ column_name }}
having bool_and(here) or not bool_or(here)
{% endtest %}
