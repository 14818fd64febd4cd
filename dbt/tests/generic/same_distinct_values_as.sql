{# Fails with each value of `column_name` that only one of the model and `other` has: none may vanish. #}
{% test same_distinct_values_as(model, column_name, other) %}
(select {{ column_name }} from {{ model }} except select {{ column_name }} from {{ other }})
union all
(select {{ column_name }} from {{ other }} except select {{ column_name }} from {{ model }})
{% endtest %}
